package vault

import (
	"context"
	"errors"
	"slices"
)

// blocks are the runs of each range's counter that this replica issues from, in
// the order in which they are used up, by range number. A range that is missing
// was not read yet; what the replica has of it stands in the store.
//
// Another replica may take the upper half of a block at any time. That is safe
// because the numbers of a block are used only together with an AdvanceBlock in
// the same transaction, which fails when the block no longer reaches that far.
type blocks map[int32][]cursor

// cursor is a block as the store has it, and up to where this round has used it.
type cursor struct {
	Block

	used int64
}

func (b blocks) clone() blocks {
	c := make(blocks, len(b))
	for number, held := range b {
		c[number] = slices.Clone(held)
	}
	return c
}

func (b blocks) add(block Block) {
	b[block.RangeNumber] = append(b[block.RangeNumber], cursor{block, block.Next})
}

// draw takes the next number of a range in hand.
func (b blocks) draw(number int32) (int64, bool) {
	held := b[number]
	for i := range held {
		if held[i].used < held[i].End {
			held[i].used++
			return held[i].used - 1, true
		}
	}
	return 0, false
}

// maxBlock bounds what a replica that dies leaves to the others to take over.
const maxBlock = 4096

// blockSize returns how many numbers of a range a replica takes at a time: at
// most a sixty-fourth, so that the replicas share even a small range.
func blockSize(capacity int64) int64 { return min(max(capacity/64, 1), maxBlock) }

// commit runs the round in one transaction, after reading which blocks the replica
// has where it does not know.
func (r *round) commit(ctx context.Context) error {
	for _, c := range r.changes {
		if c.issue == nil {
			continue
		}
		if _, known := r.journal.blocks[c.issue.number]; known {
			continue
		}
		held, err := r.journal.store.Blocks(ctx, r.journal.replica, c.issue.number)
		if err != nil {
			return err
		}
		r.journal.blocks[c.issue.number] = nil
		for _, block := range held {
			r.journal.blocks.add(block)
		}
	}
	return r.journal.store.Commit(ctx, r.apply)
}

// draw takes the next number of a range: of the blocks in hand, or else of one
// more, taken in this transaction. Taking numbers and using them together is what
// lets replicas that empty a range against each other get on: who loses a number
// loses it to a commit. False: the range has none left.
func (r *round) draw(ctx context.Context, tx Tx, i *issuing) (int64, bool, error) {
	if n, ok := r.blocks.draw(i.number); ok {
		return n, true, nil
	}
	block, err := tx.TakeBlock(ctx, r.journal.replica, i.number, i.blockSize)
	if errors.Is(err, ErrNoRow) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	r.blocks.add(block)
	n, ok := r.blocks.draw(i.number)
	return n, ok, nil
}

// advance moves the blocks in the store to where the round used them up to, in the
// transaction that inserts the cards: a number is used if and only if its card is
// there (P2).
func (r *round) advance(ctx context.Context, tx Tx) error {
	for number, held := range r.blocks {
		for i := range held {
			if held[i].used == held[i].Next {
				continue
			}
			ok, err := tx.AdvanceBlock(ctx, held[i].Block, held[i].used)
			if err != nil {
				return err
			}
			if !ok {
				delete(r.journal.blocks, number) // another replica took of it: read it anew
				return errAgain
			}
			held[i].Next = held[i].used
		}
		r.blocks[number] = slices.DeleteFunc(held, func(c cursor) bool { return c.Next == c.End })
	}
	return nil
}
