package vault

import (
	"context"
	"errors"
	"maps"
	"slices"
)

// blocks are the runs of each range's counter that this replica issues from, in
// the order in which they are used up, by range number. A range that is missing
// was not read yet; what the replica holds of it stands in the store.
//
// Another replica may take the upper half of a block at any time. That is safe
// because the numbers of a block are used only together with an AdvanceBlock in
// the same transaction, which fails when the block no longer reaches that far.
type blocks map[int32][]Block

func (b blocks) clone() blocks {
	c := maps.Clone(b)
	for number, held := range c {
		c[number] = slices.Clone(held)
	}
	return c
}

// left returns how many numbers of a range are in hand.
func (b blocks) left(number int32) int64 {
	var n int64
	for _, block := range b[number] {
		n += block.End - block.Next
	}
	return n
}

// draw takes the next number of a range.
func (b blocks) draw(number int32) (int64, bool) {
	held := b[number]
	for i := range held {
		if held[i].Next < held[i].End {
			held[i].Next++
			return held[i].Next - 1, true
		}
	}
	return 0, false
}

// maxBlock bounds what a replica that dies leaves to the others to take over.
const maxBlock = 4096

// blockSize returns how many numbers of a range a replica takes at a time: at
// most a sixty-fourth, so that the replicas share even a small range.
func blockSize(capacity int64) int64 { return min(max(capacity/64, 1), maxBlock) }

// commit takes the blocks that the round needs, in transactions of their own, and
// then does its work in one.
func (r *round) commit(ctx context.Context) error {
	r.held, r.exhausted = r.journal.blocks.clone(), map[int32]bool{}
	need := map[int32]int64{}
	for _, c := range r.changes {
		if c.issue != nil && c.refused == nil {
			need[c.issue.number]++
		}
	}
	for _, c := range r.changes {
		if c.issue != nil && need[c.issue.number] > 0 {
			if err := r.take(ctx, c.issue, need[c.issue.number]); err != nil {
				return err
			}
			need[c.issue.number] = 0
		}
	}
	// From here on these blocks are this replica's, whatever becomes of the round.
	r.journal.blocks = r.held.clone()
	return r.journal.store.Commit(ctx, r.apply)
}

// take fills the blocks in hand up to what is needed. Numbers may turn out to be
// reserved or taken, so each further attempt takes twice as many.
func (r *round) take(ctx context.Context, i *issuing, need int64) error {
	store, replica := r.journal.store, r.journal.replica
	if _, known := r.held[i.number]; !known {
		held, err := store.Blocks(ctx, replica, i.number)
		if err != nil {
			return err
		}
		r.held[i.number] = held
	}
	for r.held.left(i.number) < need<<min(r.attempt, 20) {
		block, err := store.TakeBlock(ctx, replica, i.number, i.blockSize)
		if errors.Is(err, ErrNoRow) {
			r.exhausted[i.number] = true
			return nil
		}
		if err != nil {
			return err
		}
		r.held[i.number] = append(r.held[i.number], block)
	}
	return nil
}

// advance moves the blocks in the store to where the round used them up to, in the
// transaction that inserts the cards: a number is used if and only if its card is
// there (P2).
func (r *round) advance(ctx context.Context, tx Tx) error {
	for number, held := range r.held {
		for i, block := range held {
			next := r.blocks[number][i].Next
			if next == block.Next {
				continue
			}
			ok, err := tx.AdvanceBlock(ctx, block, next)
			if err != nil {
				return err
			}
			if !ok {
				delete(r.journal.blocks, number) // another replica took of it: read it anew
				return errAgain
			}
		}
		r.blocks[number] = slices.DeleteFunc(r.blocks[number], func(b Block) bool { return b.Next == b.End })
	}
	return nil
}
