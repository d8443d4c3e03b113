package archive

// Disk is what tests put in the place of the machine's own.
type Disk = disk

// OpenOn is Open on another disk.
func OpenOn(d Disk, keys string) (*Archive, error) { return open(d, keys) }
