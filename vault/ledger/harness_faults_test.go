package ledger_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

// faults stands between a ledger and all that it calls.
type faults struct {
	ledger.Store
	signer    ledger.Signer
	witnesses ledger.Witnesses

	mu sync.Mutex
	// before and after may fail a call, or hold it up: before it does anything, or
	// after it did all.
	before, after func(call string) error
	calls         []string
}

// between makes a config's parts fail as f says.
func between(f *faults, cfg *ledger.Config) {
	f.Store, f.signer, f.witnesses = cfg.Store, cfg.Signer, cfg.Witnesses
	cfg.Store, cfg.Signer = f, f
	if f.witnesses != nil {
		cfg.Witnesses = f
	}
}

// on sets what happens from now on.
func (f *faults) on(before, after func(call string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after = before, after
}

func (f *faults) around(call string, do func() error) error {
	f.mu.Lock()
	before, after := f.before, f.after
	f.calls = append(f.calls, call)
	f.mu.Unlock()
	if before != nil {
		if err := before(call); err != nil {
			return err
		}
	}
	err := do()
	if after != nil {
		err = errors.Join(err, after(call))
	}
	return err
}

// told is do with an answer, which is lost where the call fails.
func told[T any](f *faults, call string, do func() (T, error)) (T, error) {
	var answer T
	err := f.around(call, func() (err error) {
		answer, err = do()
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return answer, nil
}

func (f *faults) LogHead(ctx context.Context) (ledger.Head, error) {
	return told(f, "LogHead", func() (ledger.Head, error) { return f.Store.LogHead(ctx) })
}

func (f *faults) TakeLease(ctx context.Context, was ledger.Head, holder uuid.UUID) (head ledger.Head, took bool, err error) {
	took, err = told(f, "TakeLease", func() (ok bool, err error) {
		head, ok, err = f.Store.TakeLease(ctx, was, holder)
		return ok, err
	})
	return head, took, err
}

func (f *faults) RenewLease(ctx context.Context, term int64) error {
	return f.around("RenewLease", func() error { return f.Store.RenewLease(ctx, term) })
}

func (f *faults) ListGrown(ctx context.Context, limit int) ([]ledger.Grown, error) {
	return told(f, "ListGrown", func() ([]ledger.Grown, error) { return f.Store.ListGrown(ctx, limit) })
}

func (f *faults) ChainRecords(ctx context.Context, replica uuid.UUID, number int64, limit int) ([]audit.Record, error) {
	return told(f, "ChainRecords", func() ([]audit.Record, error) { return f.Store.ChainRecords(ctx, replica, number, limit) })
}

func (f *faults) ChainTail(ctx context.Context, replica uuid.UUID) (tail audit.Tail, ok bool, err error) {
	ok, err = told(f, "ChainTail", func() (ok bool, err error) {
		tail, ok, err = f.Store.ChainTail(ctx, replica)
		return ok, err
	})
	return tail, ok, err
}

func (f *faults) ExtendLog(ctx context.Context, term int64, x ledger.Extension) error {
	return f.around("ExtendLog", func() error { return f.Store.ExtendLog(ctx, term, x) })
}

func (f *faults) Publish(ctx context.Context, term int64, checkpoint []byte) error {
	return f.around("Publish", func() error { return f.Store.Publish(ctx, term, checkpoint) })
}

func (f *faults) DropEntries(ctx context.Context, term, first int64, limit int) (int64, error) {
	return told(f, "DropEntries", func() (int64, error) { return f.Store.DropEntries(ctx, term, first, limit) })
}

func (f *faults) Tiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	return told(f, "Tiles", func() ([][]byte, error) { return f.Store.Tiles(ctx, tiles) })
}

func (f *faults) ListLog(ctx context.Context, index int64, limit int) ([]ledger.Entry, error) {
	return told(f, "ListLog", func() ([]ledger.Entry, error) { return f.Store.ListLog(ctx, index, limit) })
}

func (f *faults) IndexOf(ctx context.Context, replica uuid.UUID, number int64) (index int64, ok bool, err error) {
	ok, err = told(f, "IndexOf", func() (ok bool, err error) {
		index, ok, err = f.Store.IndexOf(ctx, replica, number)
		return ok, err
	})
	return index, ok, err
}

func (f *faults) Sign(ctx context.Context, text string) ([]byte, error) {
	return told(f, "Sign", func() ([]byte, error) { return f.signer.Sign(ctx, text) })
}

func (f *faults) Keys(ctx context.Context) ([]note.Verifier, error) {
	return told(f, "Keys", func() ([]note.Verifier, error) { return f.signer.Keys(ctx) })
}

func (f *faults) FreshKeys(ctx context.Context) ([]note.Verifier, error) {
	return told(f, "FreshKeys", func() ([]note.Verifier, error) { return f.signer.FreshKeys(ctx) })
}

func (f *faults) Cosign(ctx context.Context, checkpoint []byte, size int64, prove func(int64) (tlog.TreeProof, error)) ([]byte, error) {
	return told(f, "Cosign", func() ([]byte, error) { return f.witnesses.Cosign(ctx, checkpoint, size, prove) })
}

func (f *faults) Latest(ctx context.Context, origin string) ([][]byte, error) {
	return told(f, "Latest", func() ([][]byte, error) { return f.witnesses.Latest(ctx, origin) })
}

// count returns how often a call was made.
func (f *faults) count(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if c == call {
			n++
		}
	}
	return n
}

var errInjected = errors.New("injected")

// failing fails a call: the nth of that name from now on, or with n 0 every one.
func failing(call string, n int) func(string) error {
	var mu sync.Mutex
	seen := 0
	return func(c string) error {
		mu.Lock()
		defer mu.Unlock()
		if c != call {
			return nil
		}
		if seen++; n == 0 || seen == n {
			return errInjected
		}
		return nil
	}
}

// holding holds up a whole replica from the first call of a name on, until release is
// called, and closes held when it does.
func holding(t *testing.T, call string) (hold func(string) error, held <-chan struct{}, release func()) {
	t.Helper()
	reached, let := make(chan struct{}), make(chan struct{})
	var once, done sync.Once
	release = func() { done.Do(func() { close(let) }) }
	t.Cleanup(release)
	return func(c string) error {
		if c == call {
			once.Do(func() { close(reached) })
		}
		select {
		case <-reached:
			<-let
		default:
		}
		return nil
	}, reached, release
}

// late loses the first call of a name on its way, until it arrives.
type late struct {
	ledger.Store
	call   string
	arrive func(ctx context.Context) error
}

func (s *late) ExtendLog(ctx context.Context, term int64, x ledger.Extension) error {
	return s.first(ctx, "ExtendLog", func(ctx context.Context) error { return s.Store.ExtendLog(ctx, term, x) })
}

func (s *late) Publish(ctx context.Context, term int64, checkpoint []byte) error {
	return s.first(ctx, "Publish", func(ctx context.Context) error { return s.Store.Publish(ctx, term, checkpoint) })
}

func (s *late) first(ctx context.Context, call string, do func(context.Context) error) error {
	if call == s.call && s.arrive == nil {
		s.arrive = do
		return errInjected
	}
	return do(ctx)
}
