package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/vault/archive"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
	"github.com/cardvault/cardvault/vault/vaulttest"
)

func loggerTo(w io.Writer) *slog.Logger { return slog.New(slog.NewJSONHandler(w, nil)) }

// report is who noticed a mutation first, and what that one said. The zero report:
// nobody.
type report struct{ who, what string }

// observe has everybody look who is there after a mutation. Without memory, all
// replicas were restarted: what is known of before is known to the witness and the
// auditor.
func (v *world) observe(done []change, memory bool) report {
	if what := v.policed(done); what != "" {
		return report{"auditor with a policy", what}
	}
	if memory {
		for range 3 {
			if what := v.stepped(v.knowing); what != "" {
				return report{"replica that knew the log", what}
			}
			if what := v.writeOn(); what != "" {
				return report{"writer", what}
			}
			v.clock.Advance(3 * time.Second)
		}
	}
	if memory {
		if what := v.read(v.knowing); what != "" {
			return report{"reader", what}
		}
		if what := v.readAt(v.knowing, done); what != "" {
			return report{"reader of an entry", what}
		}
	}
	fresh := v.replica(v.dice.id())
	for range 2 {
		if what := v.stepped(fresh); what != "" {
			return report{"replica that starts", what}
		}
		v.clock.Advance(3 * time.Second)
	}
	if what := v.read(fresh); what != "" {
		return report{"reader", what}
	}
	if what := v.export(fresh, true); what != "" {
		return report{"auditor with a folder", what}
	}
	if what := v.export(fresh, false); what != "" {
		return report{"auditor", what}
	}
	return report{}
}

// policed reports whether a checkpoint that is the log's is shown and not cosigned,
// before it is replaced.
func (v *world) policed(done []change) string {
	for _, c := range done {
		if c.name != "log_head" || c.old == nil || c.now == nil || sameValue(c.old[6], c.now[6]) {
			continue
		}
		if signed, _ := c.now[6].([]byte); published(v.key, tables{"log_head": {c.now}}) == 0 || (policy{v.witnessed}).Satisfied(signed) {
			continue
		}
		defer func() { v.log = &vaulttest.LogBuffer{} }()
		if _, _, err := v.replica(v.dice.id()).Checkpoint(v.t.Context()); err == nil {
			return "the checkpoint is not cosigned"
		}
	}
	return ""
}

// stepped steps a ledger, more often where that fails, and returns its alarms.
func (v *world) stepped(l *ledger.Ledger) string {
	for range 5 {
		err := l.Step(v.t.Context())
		if _, halted := errors.AsType[*ledger.HaltedError](err); halted {
			return err.Error()
		}
		if err == nil {
			break
		}
	}
	return v.log.String()
}

// writeOn has the replicas write on that live.
func (v *world) writeOn() string {
	for _, w := range v.writers {
		if v.ended[w.id] {
			continue
		}
		if err := w.try(1+v.dice.below(2), sealTail); err != nil {
			return err.Error()
		}
	}
	return ""
}

// read reads the whole log.
func (v *world) read(l *ledger.Ledger) string {
	for _, err := range l.Read(v.t.Context(), 0, 0, false) {
		if err != nil {
			return err.Error()
		}
	}
	return ""
}

// readAt reads the entries one by one that the changes touch. Nothing would be seen
// at the others. That one was dropped is an answer.
func (v *world) readAt(l *ledger.Ledger, done []change) string {
	for _, c := range done {
		if c.name != "audit_entries" || c.old == nil {
			continue
		}
		index, err := l.IndexOf(v.t.Context(), uuid.UUID(c.old[0].([]byte)), c.old[1].(int64))
		if err == nil {
			_, err = l.EntryAt(v.t.Context(), index)
		}
		if err != nil && !errors.Is(err, ledger.ErrDropped) {
			return err.Error()
		}
	}
	return ""
}

// audit exports the log for the auditor of the image.
func (m *image) audit(l *ledger.Ledger) {
	m.t.Helper()
	signed, err := m.exportTo(l, m.auditor.folder)
	if err != nil {
		m.t.Fatal(err)
	}
	m.auditor.checkpoint = signed
}

// exportTo brings a folder up to date, and returns its checkpoint.
func (m *image) exportTo(l *ledger.Ledger, folder string) (signed []byte, err error) {
	a, err := archive.Open(folder, m.public)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	newest, _, err := l.Checkpoint(m.t.Context())
	if err == nil {
		err = a.Append(audit.Batch{Checkpoint: newest})
	}
	if err != nil {
		return nil, err
	}
	for batch, err := range l.Read(m.t.Context(), a.Size(), 0, false) {
		if err == nil {
			err = a.Append(batch)
		}
		if err != nil {
			return nil, err
		}
	}
	signed, _ = a.Checkpoint()
	return signed, nil
}

// export exports and verifies as the auditor does, who has a folder or only its
// checkpoint.
func (v *world) export(l *ledger.Ledger, again bool) string {
	dir, err := os.MkdirTemp(filepath.Dir(v.path), "export-")
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			v.t.Error(err)
		}
	}()
	if again {
		if err := os.CopyFS(dir, os.DirFS(v.auditor.folder)); err != nil {
			v.t.Fatal(err)
		}
	}
	if _, err := v.exportTo(l, dir); err != nil {
		return err.Error()
	}
	r, err := archive.Verify(v.t.Context(), os.DirFS(dir), archive.Options{
		Keys: []note.Verifier{v.key.verifier}, Since: v.auditor.checkpoint, Witnesses: policy{v.witnessed},
	})
	if err != nil {
		return err.Error()
	}
	if !r.Good() {
		return fmt.Sprint(r.Findings)
	}
	return ""
}

// policy wants the one witness.
type policy struct{ witness note.Verifier }

// Satisfied implements archive.Witnesses.
func (p policy) Satisfied(checkpoint []byte) bool {
	_, err := note.Open(checkpoint, note.VerifierList(p.witness))
	return err == nil
}

// intact compares the log as everybody sees it with what the writers wrote, but for
// the chains that lost what they had waiting.
func (v *world) intact(lost map[uuid.UUID]bool) error {
	l := v.replica(v.dice.id())
	v.clock.Advance(3 * time.Second)
	for range 2 {
		if err := l.Step(v.t.Context()); err != nil {
			return err
		}
		v.clock.Advance(3 * time.Second)
	}
	_, c, err := l.Checkpoint(v.t.Context())
	if err != nil {
		return err
	}
	next := map[uuid.UUID]int64{}
	var index int64
	for batch, err := range l.Read(v.t.Context(), 0, 0, false) {
		if err != nil {
			return err
		}
		for _, e := range batch.Entries {
			if err := v.checkEntry(l, e, next); err != nil {
				return fmt.Errorf("entry %d: %w", index, err)
			}
			index++
		}
	}
	if index != c.Size {
		return fmt.Errorf("%d entries of %d", index, c.Size)
	}
	for _, w := range v.writers {
		if n := next[w.id]; n != int64(len(w.bodies)) && !lost[w.id] {
			return fmt.Errorf("%d of %d entries of %s (ended: %v)", n, len(w.bodies), w.id, v.ended[w.id])
		}
	}
	return nil
}

var errEntry = errors.New("not the one that was written")

// checkEntry checks that an entry is the next of its chain, and, for some, every way
// to get at it.
func (v *world) checkEntry(l *ledger.Ledger, e audit.LogEntry, next map[uuid.UUID]int64) error {
	parsed, err := audit.Parse(e.Body)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(v.writers, func(w *writer) bool { return w.id == parsed.Replica })
	if i < 0 || parsed.Number != next[parsed.Replica] || !bytes.Equal(v.writers[i].bodies[parsed.Number], e.Body) {
		return errEntry
	}
	next[parsed.Replica]++
	if !v.dice.oneIn(8) {
		return nil
	}
	index, err := l.IndexOf(v.t.Context(), parsed.Replica, parsed.Number)
	if err != nil || index != e.Index {
		return fmt.Errorf("found at %d: %w", index, err)
	}
	if _, err := l.EntryAt(v.t.Context(), index); err != nil {
		return err
	}
	p, err := l.ProveEntry(v.t.Context(), index)
	if err == nil {
		_, err = p.Verify(e.Body, v.key.verifier)
	}
	return err
}
