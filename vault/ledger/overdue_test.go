package ledger_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

// TestLeaseOfNobody has somebody hold the lease in the database who sequences nothing.
// Replicas say that their entries wait, and nothing where they do not.
func TestLeaseOfNobody(t *testing.T) {
	s := newSite(t)
	a := s.writer()
	l := s.ledger(func(c *ledger.Config) { c.Replica = a.id })
	step := func() {
		s.clock.Advance(time.Second)
		s.step(l)
	}
	for range 130 {
		a.write(1)
		step()
	}
	if n := s.alarms("audit log stalled"); n != 0 {
		t.Fatalf("%d alarms in a log that goes on", n)
	}
	for range 130 {
		nobody := uuid.New()
		s.edit("UPDATE log_head SET term = term + 1, beat = beat + 1, holder = ?", nobody[:])
		a.write(1)
		step()
	}
	if n := s.alarms("audit log stalled"); n == 0 || n > 3 {
		t.Errorf("%d alarms in two minutes", n)
	}
}

// TestTailTakenBack: what an idle replica wrote would never come into the log.
func TestTailTakenBack(t *testing.T) {
	s := newSite(t)
	a := s.writer()
	l := s.ledger(func(c *ledger.Config) { c.Replica = a.id })
	a.write(1)
	was, _ := sealTail(audit.Tail{Replica: a.id, Number: a.chain.Len() - 1, Head: a.chain.Head()})
	a.write(1)
	s.step(l)
	s.clock.Advance(time.Minute)
	s.step(l)
	s.edit("UPDATE audit_chains SET number = ?, head = ?, seal = ?", was.Number, was.Head[:], was.Seal[:])
	s.clock.Advance(time.Minute)
	s.step(l)
	if n := s.alarms("audit log stalled"); n != 1 {
		t.Errorf("%d alarms", n)
	}
}
