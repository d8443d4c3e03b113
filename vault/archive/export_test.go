package archive

import (
	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/vault/audit"
)

// Disk is what tests put in the place of the machine's own.
type Disk = disk

// OpenOn is Open on another disk.
func OpenOn(d Disk, text string) (*Archive, error) {
	keys, err := audit.ParseKeys(text)
	if err != nil {
		return nil, err
	}
	return open(d, keys, text)
}

// OpenWith is OpenOn with other verifiers than the text has.
func OpenWith(d Disk, keys []note.Verifier, text string) (*Archive, error) {
	return open(d, keys, text)
}
