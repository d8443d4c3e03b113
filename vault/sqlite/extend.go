package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/cardvault/cardvault/vault/ledger"
)

var _ ledger.Store = (*Store)(nil)

// What no sequencer asks for that knows the log as it is.
var (
	errRuns  = errors.New("sqlite: the runs do not follow each other from the log's size on")
	errChain = errors.New("sqlite: a run does not go on where the log has its chain")
)

// ExtendLog implements ledger.Store.
func (s *Store) ExtendLog(ctx context.Context, term int64, x ledger.Extension) error {
	size, err := sizeAfter(&x)
	if err != nil {
		return err
	}
	return s.write(ctx, func(w *writer) error {
		if err := w.fenced(`UPDATE log_head SET size = ?3, beat = beat + 1 WHERE term = ?1 AND size = ?2 AND term > 0`,
			term, x.Size, size); err != nil {
			return err
		}
		for i := range x.Runs {
			if err := w.addRun(&x.Runs[i]); err != nil {
				return err
			}
		}
		for _, tile := range x.Tiles {
			if err := w.exec(`
				INSERT INTO log_tiles (level, tile, hashes) VALUES (?, ?, ?)
				ON CONFLICT (level, tile) DO UPDATE SET hashes = excluded.hashes`,
				tile.Level, tile.Index, tile.Hashes); err != nil {
				return err
			}
		}
		return nil
	})
}

// sizeAfter returns the log's size with the extension.
func sizeAfter(x *ledger.Extension) (int64, error) {
	size := x.Size
	for i := range x.Runs {
		if x.Runs[i].First != size || x.Runs[i].Count < 1 {
			return 0, errRuns
		}
		size += int64(x.Runs[i].Count)
	}
	return size, nil
}

// addRun joins a run to its chain.
func (w *writer) addRun(run *ledger.Run) error {
	err := w.exec(`
		INSERT INTO log_chains (replica, next, head)
		SELECT ?1, ?2 + ?3, ?4 WHERE ?2 = 0 OR EXISTS (SELECT 1 FROM log_chains WHERE replica = ?1)
		ON CONFLICT (replica) DO UPDATE SET next = excluded.next, head = excluded.head WHERE log_chains.next = ?2`,
		run.Replica[:], run.Number, run.Count, run.Head[:])
	if err != nil {
		return err
	}
	if w.conn.Changes() == 0 {
		return fmt.Errorf("%w: replica %s, number %d", errChain, run.Replica, run.Number)
	}
	return w.exec(`INSERT INTO log_runs (first, replica, number, count) VALUES (?, ?, ?, ?)`,
		run.First, run.Replica[:], run.Number, run.Count)
}

// DropEntries implements ledger.Store.
func (s *Store) DropEntries(ctx context.Context, term, first int64, limit int) (dropped int64, err error) {
	err = s.write(ctx, func(w *writer) error {
		head, err := only(collect(w.conn, scanHead, `SELECT `+headColumns+` FROM log_head`))
		if err != nil {
			return err
		}
		dropped = max(head.First, min(first, head.Size, after(head.First, limit)))
		if err := w.fenced(`UPDATE log_head SET first = ?2 WHERE term = ?1 AND term > 0`, term, dropped); err != nil {
			return err
		}
		return w.deleteEntries(head.First, dropped)
	})
	if err != nil {
		return 0, err
	}
	return dropped, nil
}

// deleteEntries deletes the entries with indexes from first up to, not including,
// until.
func (w *writer) deleteEntries(first, until int64) error {
	runs, err := runsWithin(w.conn, first, until)
	if err != nil {
		return err
	}
	w.stale = w.stale || len(runs) > 0
	for i := range runs {
		if err := w.exec(`DELETE FROM audit_entries WHERE replica = ? AND number >= ? AND number < ?`,
			runs[i].Replica[:], runs[i].Number, runs[i].Number+int64(runs[i].Count)); err != nil {
			return err
		}
	}
	return nil
}
