package archive

import (
	"fmt"
	"slices"
	"time"

	"github.com/cardvault/cardvault/vault/audit"
)

// Class is what kind of thing is wrong. Classes are stable: scripts switch on them.
type Class string

// The classes.
const (
	// ClassSignature: the checkpoint is not one that the log signed.
	ClassSignature Class = "SIGNATURE"
	// ClassWitness: the checkpoint has not the cosignatures that the policy wants.
	ClassWitness Class = "WITNESS"
	// ClassInconsistent: the log does not begin with what it was at the earlier
	// checkpoint: it was rolled back, or forked.
	ClassInconsistent Class = "INCONSISTENT"
	// ClassTree: hashes do not make up the tree that the checkpoint is the head of.
	ClassTree Class = "TREE"
	// ClassBundle: a bundle does not have the entries that it should.
	ClassBundle Class = "BUNDLE"
	// ClassMissing: a file, or an entry that nobody said was dropped, is not there.
	ClassMissing Class = "MISSING"
	// ClassExtra: a file does not belong in the folder.
	ClassExtra Class = "EXTRA"
	// ClassEntry: an entry is not the one in the tree, or none that the vault writes.
	ClassEntry Class = "ENTRY"
	// ClassChain: entries of one replica do not follow each other.
	ClassChain Class = "CHAIN"
	// ClassTime: entries are much older than others before them.
	ClassTime Class = "TIME"
	// ClassCardData: an entry holds what looks like a card number.
	ClassCardData Class = "CARD_DATA"
)

// NoIndex is the index of a finding that is not about one entry.
const NoIndex = -1

// Finding is one thing that is wrong. It repeats nothing of an entry.
type Finding struct {
	Class Class `json:"class"`
	// Path of the file in the folder.
	Path string `json:"path"`
	// Index of the entry, or the first of several; or NoIndex.
	Index int64 `json:"index"`
	// Text says what is wrong, for people.
	Text string `json:"text"`
}

// Report is what Verify found.
type Report struct {
	// What the checkpoint says. Without a good signature it says nothing.
	Origin string     `json:"origin"`
	Size   int64      `json:"size"`
	Root   audit.Hash `json:"root"`
	// Since is the size of the earlier checkpoint that the log was compared with;
	// absent: with none.
	Since *int64 `json:"since,omitempty"`

	// Entries were read and checked; Dropped ones only left their hash, as an entry
	// of the log says. Size is the sum of both, and of those missing.
	Entries int64 `json:"entries"`
	Dropped int64 `json:"dropped"`
	// Chains is how many replicas have entries.
	Chains int `json:"chains"`
	// First and Last are the earliest and the latest time of an entry; zero where
	// there is none.
	First time.Time `json:"first_time,omitzero"`
	Last  time.Time `json:"last_time,omitzero"`

	// Findings are what is wrong, at most a hundred of each class. None: nothing is.
	Findings []Finding `json:"findings"`
	// Counts is how many there are of each class. Where tiles are missing by the
	// hundred, Verify stops, and there may be more.
	Counts map[Class]int64 `json:"counts"`
}

// Good reports whether nothing is wrong.
func (r *Report) Good() bool { return len(r.Counts) == 0 }

// Has reports whether there is a finding of one of these classes.
func (r *Report) Has(classes ...Class) bool {
	return slices.ContainsFunc(classes, func(c Class) bool { return r.Counts[c] > 0 })
}

// maxFindings of a class are kept.
const maxFindings = 100

func (r *Report) add(f Finding) {
	if r.Counts[f.Class]++; r.Counts[f.Class] <= maxFindings {
		r.Findings = append(r.Findings, f)
	}
}

// find adds what is wrong with a file.
func (r *Report) find(c Class, path, format string, args ...any) {
	r.add(Finding{Class: c, Path: path, Index: NoIndex, Text: fmt.Sprintf(format, args...)})
}

// findAt adds what is wrong with an entry.
func (r *Report) findAt(c Class, index int64, format string, args ...any) {
	bundle := tileAt(r.Size, audit.EntriesLevel, shift(index, 1))
	r.add(Finding{Class: c, Path: audit.TilePath(bundle), Index: index, Text: fmt.Sprintf(format, args...)})
}
