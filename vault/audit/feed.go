package audit

// Batch is one piece of the log as its readers receive it: in order of index,
// without gaps from one batch to the next.
type Batch struct {
	// Checkpoint is set where it is newer than those of all batches before. It covers
	// the entries that follow it.
	Checkpoint []byte
	Entries    []LogEntry
}

// LogEntry is an entry at its index.
type LogEntry struct {
	Index int64
	// Body is nil where it was dropped by the retention policy.
	Body []byte
	// Leaf is the leaf hash of a body that was dropped; zero where Body is there.
	Leaf Hash
}

// Hash returns the entry's leaf hash.
func (e LogEntry) Hash() Hash {
	if e.Body == nil {
		return e.Leaf
	}
	return LeafHash(e.Body)
}
