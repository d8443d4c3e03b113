package vaulttest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/vault"
)

func blockCases() []contractCase {
	return []contractCase{
		{"are carved while there are numbers", blocksCarved},
		{"are advanced by their holder alone, from where they are", blocksAdvanced},
		{"are taken over by halves", blocksTakenOver},
		{"hold every number once, whatever happens", blocksModel},
		{"fill a range to the last number, whoever comes", blocksTogether},
	}
}

// numbered returns a range of n numbers.
func numbered(name, prefix string, n int64) vault.BINRangeRow {
	row := newRange(name, prefix)
	row.First, row.Last = 500, 500+n-1 // the counter starts at 0 all the same
	return row
}

func (r *replica) advance(block vault.Block, next int64) bool {
	r.t.Helper()
	return r.changed(func(ctx context.Context, tx vault.Tx) (bool, error) { return tx.AdvanceBlock(ctx, block, next) })
}

// takeBlock takes a block in a commit of its own.
func (r *replica) takeBlock(id uuid.UUID, bin int32, size int64) (block vault.Block, err error) {
	r.t.Helper()
	err = r.try(func(ctx context.Context, tx vault.Tx) (err error) {
		block, err = tx.TakeBlock(ctx, id, bin, size)
		return err
	})
	return block, err
}

func blocksCarved(t *contract) {
	r := newReplica(t, t.open())
	bin := r.insertRange(tenant, numbered("small", "900001", 25))
	other := uuid.New()
	for i, want := range []vault.Block{
		{Replica: r.id, Start: 0, Next: 0, End: 10},
		{Replica: other, Start: 10, Next: 10, End: 20},
		{Replica: r.id, Start: 20, Next: 20, End: 25},
	} {
		want.RangeNumber = bin.Number
		same(t, "block "+strconv.Itoa(i), must(r.takeBlock(want.Replica, bin.Number, 10))(t), want)
	}
	bin.Carved, bin.Left = 25, 25
	same(t, "range", must(r.BINRange(t.Context(), tenant, bin.Name))(t), bin)
	mine := must(t.open().Blocks(t.Context(), r.id, bin.Number))(t)
	same(t, "blocks", len(mine), 2)
	same(t, "blocks of nobody", len(must(r.Blocks(t.Context(), uuid.New(), bin.Number))(t)), 0)
}

func blocksAdvanced(t *contract) {
	r := newReplica(t, t.open())
	bin := r.insertRange(tenant, numbered("small", "900001", 10))
	block := must(r.takeBlock(r.id, bin.Number, 10))(t)
	if !r.advance(block, 4) {
		t.Error("the holder could not advance its block")
	}
	stranger, ahead, behind := block, block, block
	stranger.Replica, stranger.Next = uuid.New(), 4
	ahead.Next = 5
	for what, b := range map[string]vault.Block{"a stranger's": stranger, "one ahead": ahead, "one behind": behind} {
		if r.advance(b, 6) {
			t.Errorf("%s was advanced", what)
		}
	}
	block.Next = 4
	if r.advance(block, 11) {
		t.Error("a block was advanced past its end")
	}
	same(t, "blocks", must(r.Blocks(t.Context(), r.id, bin.Number))(t), []vault.Block{block})
	same(t, "left", must(r.BINRange(t.Context(), tenant, bin.Name))(t).Left, 6)

	is(t, "commit that fails", r.try(func(ctx context.Context, tx vault.Tx) error {
		if ok, err := tx.AdvanceBlock(ctx, block, 9); !ok || err != nil {
			return fmt.Errorf("advance: %v, %w", ok, err)
		}
		return errOfFn
	}), errOfFn)
	if !r.advance(block, 10) {
		t.Error("a block whose advance was rolled back could not be advanced")
	}
	same(t, "blocks of a full range", len(must(r.Blocks(t.Context(), r.id, bin.Number))(t)), 0)
	_, err := r.takeBlock(uuid.New(), bin.Number, 10)
	is(t, "block of a full range", err, vault.ErrNoRow)
	same(t, "left", must(r.BINRange(t.Context(), tenant, bin.Name))(t).Left, 0)
}

func blocksTakenOver(t *contract) {
	r := newReplica(t, t.open())
	bin := r.insertRange(tenant, numbered("small", "900001", 10))
	block := must(r.takeBlock(r.id, bin.Number, 10))(t)
	_, err := r.takeBlock(r.id, bin.Number, 10)
	is(t, "block that the replica has already", err, vault.ErrNoRow)

	heir := newReplica(t, t.open())
	half := must(heir.takeBlock(heir.id, bin.Number, 10))(t)
	same(t, "half", half, vault.Block{Replica: heir.id, RangeNumber: bin.Number, Start: 5, Next: 5, End: 10})
	if r.advance(block, 6) {
		t.Error("the former holder used a number that was taken over")
	}
	if !r.advance(block, 4) || !heir.advance(half, 9) {
		t.Error("the holder of a number could not use it")
	}
	// One number is left with each: 4 and 9.
	third := newReplica(t, t.open())
	for range 2 {
		whole := must(third.takeBlock(third.id, bin.Number, 10))(t)
		same(t, "numbers left", whole.End-whole.Next, 1)
		if !third.advance(whole, whole.End) {
			t.Error("a block that was taken whole could not be used")
		}
	}
	block.Next = 4
	if r.advance(block, 5) {
		t.Error("the former holder used a number that was taken over whole")
	}
	_, err = third.takeBlock(third.id, bin.Number, 10)
	is(t, "block of a full range", err, vault.ErrNoRow)
	same(t, "left", must(r.BINRange(t.Context(), tenant, bin.Name))(t).Left, 0)
}

// blocksMachine holds what three replicas believe, beside which numbers were used.
type blocksMachine struct {
	store    vault.Store
	writer   *replica
	bin      vault.BINRangeRow
	size     int64
	replicas [3]uuid.UUID
	held     [3]map[int64]vault.Block // by start; may be out of date
	used     map[int64]bool
}

func blocksModel(t *contract) {
	r := newReplica(t, t.open())
	made := 0
	rapid.Check(t, func(rt *rapid.T) {
		made++
		n := rapid.Int64Range(1, 40).Draw(rt, "numbers")
		m := &blocksMachine{
			store: r, writer: r, size: n, used: map[int64]bool{},
			bin:      r.insertRange(tenant, numbered("r"+strconv.Itoa(made), strconv.Itoa(900_000+made), n)),
			replicas: [3]uuid.UUID{uuid.New(), uuid.New(), uuid.New()},
		}
		for i := range m.held {
			m.held[i] = map[int64]vault.Block{}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"take": m.take, "advance": m.advance, "forget": m.forget, "remember": m.remember, "": m.check,
		})
		m.drain(rt)
	})
}

func (m *blocksMachine) take(rt *rapid.T) {
	i := rapid.IntRange(0, 2).Draw(rt, "replica")
	m.takeFor(rt, i, rapid.Int64Range(1, 12).Draw(rt, "size"))
}

func (m *blocksMachine) takeFor(rt *rapid.T, i int, size int64) bool {
	block, err := m.writer.takeBlock(m.replicas[i], m.bin.Number, size)
	if errors.Is(err, vault.ErrNoRow) {
		return false
	}
	if err != nil {
		rt.Fatal(err)
	}
	if block.Replica != m.replicas[i] || block.Next >= block.End || block.End-block.Next > max(size, m.size) {
		rt.Fatalf("block %+v", block)
	}
	m.held[i][block.Start] = block
	return true
}

// advance uses numbers of a block that the replica believes it has.
func (m *blocksMachine) advance(rt *rapid.T) {
	i := rapid.IntRange(0, 2).Draw(rt, "replica")
	for _, block := range m.held[i] {
		m.use(rt, i, block, min(block.End, block.Next+rapid.Int64Range(1, 5).Draw(rt, "n")))
		return
	}
	rt.Skip("no block")
}

func (m *blocksMachine) use(rt *rapid.T, i int, block vault.Block, next int64) {
	var moved bool
	err := m.writer.try(func(ctx context.Context, tx vault.Tx) (err error) {
		moved, err = tx.AdvanceBlock(ctx, block, next)
		return err
	})
	if err != nil {
		rt.Fatal(err)
	}
	if !moved {
		delete(m.held[i], block.Start)
		return
	}
	for n := block.Next; n < next; n++ {
		if m.used[n] || n >= m.size {
			rt.Fatalf("number %d of %d was given twice, or is none", n, m.size)
		}
		m.used[n] = true
	}
	block.Next = next
	m.held[i][block.Start] = block
	if block.Next == block.End {
		delete(m.held[i], block.Start)
	}
}

// forget is a replica that dies: its blocks stay where they are.
func (m *blocksMachine) forget(rt *rapid.T) {
	i := rapid.IntRange(0, 2).Draw(rt, "replica")
	m.held[i] = map[int64]vault.Block{}
	if rapid.Bool().Draw(rt, "for good") {
		m.replicas[i] = uuid.New()
	}
}

// remember is a replica that reads its own blocks back.
func (m *blocksMachine) remember(rt *rapid.T) {
	i := rapid.IntRange(0, 2).Draw(rt, "replica")
	m.readBack(rt, i)
}

func (m *blocksMachine) readBack(rt *rapid.T, i int) {
	blocks, err := m.store.Blocks(context.Background(), m.replicas[i], m.bin.Number)
	if err != nil {
		rt.Fatal(err)
	}
	for _, block := range blocks {
		m.held[i][block.Start] = block
	}
}

// check: carved numbers are used or left, and the store knows how many.
func (m *blocksMachine) check(rt *rapid.T) {
	row, err := m.store.BINRange(context.Background(), tenant, m.bin.Name)
	if err != nil {
		rt.Fatal(err)
	}
	if row.Carved > m.size || row.Carved-row.Left != int64(len(m.used)) {
		rt.Fatalf("carved %d, left %d, used %d of %d", row.Carved, row.Left, len(m.used), m.size)
	}
}

// drain has the first replica use every number that is left, alone.
func (m *blocksMachine) drain(rt *rapid.T) {
	m.held[0] = map[int64]vault.Block{}
	m.readBack(rt, 0)
	for {
		for _, block := range m.held[0] {
			m.use(rt, 0, block, block.End)
		}
		if !m.takeFor(rt, 0, 7) {
			break
		}
	}
	if int64(len(m.used)) != m.size {
		rt.Fatalf("%d of %d numbers were used when there were none left", len(m.used), m.size)
	}
	m.check(rt)
}

// Several replicas empty a range at once, some of them leaving their blocks behind
// again and again, as if killed.
func blocksTogether(t *contract) {
	const replicas, numbers = 4, 2_000
	r := newReplica(t, t.open())
	bin := r.insertRange(tenant, numbered("full", "900001", numbers))
	var mu sync.Mutex
	used := map[int64]int{}
	together(replicas, func(i int) {
		end := newReplica(t, t.open())
		for life := 0; ; life++ {
			got, more := drainOnce(t, end, bin.Number, int64(17+i), i%2 == 1 && life%3 == 0)
			mu.Lock()
			for _, n := range got {
				used[n]++
			}
			mu.Unlock()
			if !more {
				return
			}
		}
	})
	for n := range int64(numbers) {
		if used[n] != 1 {
			t.Errorf("number %d was used %d times, want once", n, used[n])
		}
	}
	same(t, "numbers", len(used), numbers)
}

// blockOf returns a block that the replica has, or else takes one.
func (r *replica) blockOf(bin int32, size int64) (vault.Block, error) {
	own, err := r.Blocks(r.t.Context(), r.id, bin)
	if err != nil || len(own) == 0 {
		return r.takeBlock(r.id, bin, size)
	}
	return own[0], nil
}

// drainOnce takes a block and uses it, in steps; killed, it stops midway and comes
// back as another replica. It reports whether there may be more.
func drainOnce(t testing.TB, r *replica, bin int32, size int64, killed bool) (used []int64, more bool) {
	t.Helper()
	block, err := r.blockOf(bin, size)
	if errors.Is(err, vault.ErrNoRow) {
		return nil, false
	}
	if err != nil {
		t.Error(err)
		return nil, false
	}
	for block.Next < block.End {
		next := min(block.End, block.Next+5)
		var moved bool
		if err := r.try(func(ctx context.Context, tx vault.Tx) (err error) {
			moved, err = tx.AdvanceBlock(ctx, block, next)
			return err
		}); err != nil {
			t.Error(err)
			return used, false
		}
		if !moved {
			return used, true
		}
		for ; block.Next < next; block.Next++ {
			used = append(used, block.Next)
		}
		if killed {
			*r = *newReplica(t, r.Store)
			return used, true
		}
	}
	return used, true
}
