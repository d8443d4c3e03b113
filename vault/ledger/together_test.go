package ledger_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardvault/cardvault/vault/ledger"
)

// TestReplicasTogether has three replicas step at once on their own connections,
// while chains grow and leases lapse again and again, as every clock jumps.
func TestReplicasTogether(t *testing.T) {
	s := newSite(t)
	w := newWitness(t, s.key.verifier)
	ledgers := make([]*ledger.Ledger, 3)
	for i := range ledgers {
		store := s.open(s.path)
		ledgers[i] = s.ledger(func(c *ledger.Config) { c.Store, c.Witnesses = store, w })
	}
	writers := []*writer{s.writer(), s.writer(), s.writer()}
	var writing, stepping sync.WaitGroup
	for i, w := range writers {
		writing.Go(func() {
			for n := range 30 {
				w.write(1 + (n*7+i*13)%40)
			}
		})
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		writing.Wait()
	}()
	for i, l := range ledgers {
		stepping.Go(func() {
			for n := 0; ; n++ {
				if err := l.Step(t.Context()); err != nil {
					t.Errorf("step: %v", err)
					return
				}
				if n%5 == i {
					s.clock.Advance(3 * time.Second)
				}
				select {
				case <-written:
					return
				default:
				}
			}
		})
	}
	stepping.Wait()
	for _, l := range ledgers {
		s.takeOver(l)
	}
	if s.head().Term < 3 {
		t.Errorf("only %d terms", s.head().Term)
	}
	for _, l := range ledgers {
		s.step(l)
		s.checkLog(l)
	}
}

// TestLease: a replica leads where nobody did, keeps the lease as long as it lives,
// and loses it where it does not.
func TestLease(t *testing.T) {
	s := newSite(t)
	a, b := s.ledger(nil), s.ledger(nil)
	w := s.writer()
	w.write(1)
	s.step(a)
	term := s.head().Term
	for range 20 { // an idle leader renews
		s.clock.Advance(900 * time.Millisecond)
		s.step(a)
		s.step(b)
	}
	if head := s.head(); head.Term != term {
		t.Errorf("term %d: it was taken from a leader that lives", head.Term)
	}
	beat := s.head().Beat
	for range 10 { // at most once a second
		s.step(a)
	}
	if s.head().Beat > beat+1 {
		t.Errorf("%d beats at once", s.head().Beat-beat)
	}
	s.step(b)
	s.clock.Advance(2900 * time.Millisecond)
	w.write(1)
	s.step(b)
	if s.head().Term != term || s.head().Size != 1 {
		t.Error("it was taken too early")
	}
	s.clock.Advance(100 * time.Millisecond)
	s.step(b)
	if s.head().Term != term+1 {
		t.Error("it was not taken")
	}
	s.checkLog(b)
	w.write(1)
	s.step(a)
	if s.head().Size != 2 {
		t.Error("two replicas lead")
	}
	s.step(b)
	s.step(a)
	s.checkLog(a)
}

// TestResign: who stops well leaves nothing to wait for, and takes nothing that is
// another's by then.
func TestResign(t *testing.T) {
	s := newSite(t)
	a, b := s.ledger(nil), s.ledger(nil)
	w := s.writer()
	w.write(1)
	s.step(a)
	if err := a.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.write(1)
	s.step(b) // at once
	s.checkLog(b)
	term := s.head().Term
	for range 2 {
		if err := a.Resign(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.write(1)
	s.step(b)
	if head := s.head(); head.Term != term || head.Size != 3 {
		t.Errorf("term %d and size %d, want %d and 3: the lease was taken from its holder", head.Term, head.Size, term)
	}

	// One that sleeps while it is replaced finds that out.
	s.clock.Advance(time.Minute)
	s.step(a)
	s.clock.Advance(3 * time.Second)
	s.step(a)
	term = s.head().Term
	if err := b.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.head().Term != term {
		t.Error("a former holder gave away the lease of another")
	}
}

// TestStoreDown: it is an alarm after a while, and no reason to halt.
func TestStoreDown(t *testing.T) {
	s := newSite(t)
	f := &faults{}
	l := s.ledger(func(c *ledger.Config) { between(f, c) })
	s.writer().write(3)
	s.step(l)
	f.on(failing("LogHead", 0), nil)
	for range 3 {
		_ = l.Step(t.Context())
	}
	if s.alarms("audit log stalled") != 0 {
		t.Error("an alarm for what may be over at once")
	}
	for range 300 {
		_ = l.Step(t.Context())
	}
	if n := s.alarms("audit log stalled"); n != 2 {
		t.Errorf("%d alarms in 75 seconds", n)
	}
	s.checkLog(l) // readers have what was covered
	f.on(nil, nil)
	s.writers[0].write(1)
	s.step(l)
	s.checkLog(l)
}

// hungStore does not answer.
type hungStore struct{ ledger.Store }

func (hungStore) LogHead(ctx context.Context) (ledger.Head, error) {
	<-ctx.Done()
	return ledger.Head{}, ctx.Err()
}

// TestStepDoesNotHang where the store does.
func TestStepDoesNotHang(t *testing.T) {
	s := newSite(t)
	synctest.Test(t, func(t *testing.T) {
		l := s.ledger(func(c *ledger.Config) { c.Store = hungStore{} })
		for range 4 {
			began := time.Now()
			if err := l.Step(t.Context()); err == nil || !strings.Contains(err.Error(), "no answer") {
				t.Errorf("step: %v", err)
			}
			if took := time.Since(began); took != 10*time.Second {
				t.Errorf("it took %v", took)
			}
		}
	})
	if s.alarms("audit log stalled") != 1 {
		t.Errorf("%d alarms", s.alarms("audit log stalled"))
	}
}
