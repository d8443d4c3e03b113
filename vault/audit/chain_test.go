package audit_test

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/vault/audit"
)

var errBroken = errors.New("broken pipe")

func sequence(records []audit.Record) iter.Seq2[audit.Record, error] {
	return func(yield func(audit.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// chainOf builds a chain of n entries and returns its end.
func chainOf(n int) ([]audit.Record, audit.Chain) {
	c := audit.NewChain(uuid.UUID{0: 0xa5, 15: 1})
	now := time.Date(2026, 1, 2, 3, 4, 5, 999_999_000, time.UTC)
	var records []audit.Record
	for i := range n {
		var r audit.Record
		c, r = c.Append(audit.Entry{
			Principal: "spiffe://cardvault.test/tenant/demo/issuer", Tenant: "demo", Action: "IssueCard",
			Decision: audit.Allow, Policy: "issuer", Card: uuid.UUID{byte(i), 7}, Result: "OK", Count: i,
		}, now.Add(time.Duration(i)*time.Second))
		records = append(records, r)
	}
	return records, c
}

// shown reports whether VerifyChain and the end remembered from before tell
// records from the true ones.
func shown(records []audit.Record, end audit.Chain) bool {
	got, err := audit.VerifyChain(sequence(records))
	return err != nil || got.Head() != end.Head() || got.Len() != end.Len()
}

func TestVerifyChainAcceptsWhatAppendMade(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := audit.NewChain(uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "replica")))
		c, records := start, []audit.Record(nil)
		for range rapid.IntRange(0, 8).Draw(t, "length") {
			e := anyEntry().Draw(t, "entry")
			var r audit.Record
			c, r = c.Append(e, e.Time)
			records = append(records, r)
		}
		got, err := audit.VerifyChain(sequence(records))
		if err != nil {
			t.Fatal(err)
		}
		if got.Head() != c.Head() || got.Len() != c.Len() || got.Len() != int64(len(records)) {
			t.Fatalf("ends at %d %v, want %d %v", got.Len(), got.Head(), c.Len(), c.Head())
		}
	})
}

// TestVerifyChainFindsEveryFlip flips every bit of every body.
func TestVerifyChainFindsEveryFlip(t *testing.T) {
	records, end := chainOf(4)
	for i, r := range records {
		for at := range r.Body {
			for bit := range 8 {
				edited := slices.Clone(records)
				edited[i].Body = slices.Clone(r.Body)
				edited[i].Body[at] ^= 1 << bit
				if !shown(edited, end) {
					t.Errorf("bit %d of byte %d of entry %d", bit, at, i)
				}
			}
		}
	}
}

func TestVerifyChainFindsEveryRearrangement(t *testing.T) {
	const n = 6
	records, end := chainOf(n)
	if shown(records, end) {
		t.Fatal("the true chain is refused")
	}
	for i := range n {
		if !shown(slices.Delete(slices.Clone(records), i, i+1), end) {
			t.Errorf("entry %d dropped", i)
		}
		if !shown(records[:i], end) {
			t.Errorf("cut at entry %d", i)
		}
		for j := range n {
			swapped := slices.Clone(records)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			if i != j && !shown(swapped, end) {
				t.Errorf("entries %d and %d swapped", i, j)
			}
			if !shown(slices.Insert(slices.Clone(records), j, records[i]), end) {
				t.Errorf("entry %d doubled before %d", i, j)
			}
		}
	}
}

// TestVerifyChainFindsRewriting changes one entry and computes every hash after
// it anew, as someone who can write to the database would.
func TestVerifyChainFindsRewriting(t *testing.T) {
	records, end := chainOf(5)
	for i := range records {
		c := audit.NewChain(records[0].Replica)
		var rewritten []audit.Record
		for j, r := range records {
			e, err := r.Entry()
			if err != nil {
				t.Fatal(err)
			}
			if i == j {
				e.Decision = audit.Deny
			}
			c, r = c.Append(e, e.Time)
			rewritten = append(rewritten, r)
		}
		if _, err := audit.VerifyChain(sequence(rewritten)); err != nil {
			t.Errorf("entry %d: a chain in itself sound is refused: %v", i, err)
		}
		if !shown(rewritten, end) {
			t.Errorf("entry %d rewritten", i)
		}
	}
}

func TestVerifyChainSaysWhatAndWhere(t *testing.T) {
	records, _ := chainOf(4)
	other := audit.NewChain(uuid.UUID{1})
	for range 2 {
		other, _ = other.Append(audit.Entry{}, time.Time{})
	}
	_, foreign := other.Append(audit.Entry{}, time.Now())
	e, err := records[2].Entry()
	if err != nil {
		t.Fatal(err)
	}
	reencoded := func(change func(*audit.Entry)) audit.Record {
		e, r := e, records[2]
		change(&e)
		r.Replica, r.Number, r.Time, r.Tenant, r.Body = e.Replica, e.Number, e.Time, e.Tenant, e.Encode()
		return r
	}
	column := func(change func(*audit.Record)) audit.Record {
		r := records[2]
		change(&r)
		return r
	}
	for name, tc := range map[string]struct {
		third audit.Record
		want  error
	}{
		"body":           {column(func(r *audit.Record) { r.Body = []byte("{}") }), audit.ErrMalformed},
		"replica column": {column(func(r *audit.Record) { r.Replica[0] ^= 1 }), audit.ErrColumn},
		"number column":  {column(func(r *audit.Record) { r.Number++ }), audit.ErrColumn},
		"time column":    {column(func(r *audit.Record) { r.Time = r.Time.Add(time.Nanosecond) }), audit.ErrColumn},
		"tenant column":  {column(func(r *audit.Record) { r.Tenant = "other" }), audit.ErrColumn},
		"replica":        {foreign, audit.ErrReplica},
		"number back":    {reencoded(func(e *audit.Entry) { e.Number-- }), audit.ErrNumber},
		"number forth":   {reencoded(func(e *audit.Entry) { e.Number++ }), audit.ErrNumber},
		"prev":           {reencoded(func(e *audit.Entry) { e.Prev[31] ^= 1 }), audit.ErrPrev},
		"no prev":        {reencoded(func(e *audit.Entry) { e.Prev = audit.Hash{} }), audit.ErrPrev},
		"time":           {reencoded(func(e *audit.Entry) { e.Time = e.Time.Add(-time.Second - time.Microsecond) }), audit.ErrTime},
	} {
		t.Run(name, func(t *testing.T) {
			edited := slices.Clone(records)
			edited[2] = tc.third
			_, err := audit.VerifyChain(sequence(edited))
			var at *audit.ChainError
			if !errors.As(err, &at) || !errors.Is(err, tc.want) || at.Replica != tc.third.Replica || at.Number != tc.third.Number {
				t.Errorf("got %v, want %v at %d of %s", err, tc.want, tc.third.Number, tc.third.Replica)
			}
		})
	}
}

func TestVerifyChainOfATornSequence(t *testing.T) {
	records, _ := chainOf(1)
	_, err := audit.VerifyChain(func(yield func(audit.Record, error) bool) {
		_ = yield(records[0], nil) && yield(audit.Record{}, errBroken)
	})
	if !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

func TestAppendFillsInItsOwnFields(t *testing.T) {
	replica := uuid.UUID{9}
	now := time.Date(2026, 5, 6, 7, 8, 9, 123456789, time.FixedZone("", -7200))
	c, first := audit.NewChain(replica).Append(audit.Entry{Replica: uuid.UUID{1}, Number: 99, Prev: audit.Hash{1}, Tenant: "t\xff"}, now)
	want := audit.Entry{Replica: replica, Time: time.Date(2026, 5, 6, 9, 8, 9, 123456000, time.UTC), Tenant: "t\uFFFD"}
	got, err := first.Entry()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// The clock went back an hour: the chain does not.
	_, second := c.Append(audit.Entry{}, now.Add(-time.Hour))
	if !second.Time.Equal(first.Time) || second.Number != 1 {
		t.Errorf("entry %d at %v, want 1 at %v", second.Number, second.Time, first.Time)
	}
}

// TestAppendLeavesTheChainItStartsFrom is what a writer relies on whose commit
// failed.
func TestAppendLeavesTheChainItStartsFrom(t *testing.T) {
	_, c := chainOf(3)
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	_, lost := c.Append(audit.Entry{Action: "Lost"}, now)
	_, kept := c.Append(audit.Entry{Action: "Kept"}, now)
	if lost.Number != kept.Number {
		t.Errorf("numbers %d and %d", lost.Number, kept.Number)
	}
	e, err := kept.Entry()
	if err != nil || e.Prev != c.Head() {
		t.Errorf("follows %v, want %v (%v)", e.Prev, c.Head(), err)
	}
}

func TestResumeChainGoesOnWhereItEnded(t *testing.T) {
	records, end := chainOf(3)
	resumed, err := audit.ResumeChain(records[2])
	if err != nil {
		t.Fatal(err)
	}
	// An older clock, so that the time of the last entry matters.
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	_, want := end.Append(audit.Entry{Action: "Next"}, now)
	_, got := resumed.Append(audit.Entry{Action: "Next"}, now)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestResumeChainRefusesAnEditedEnd(t *testing.T) {
	records, _ := chainOf(2)
	last := records[1]
	last.Number++
	if c, err := audit.ResumeChain(last); !errors.Is(err, audit.ErrColumn) || c != (audit.Chain{}) {
		t.Errorf("got %v, %v", c, err)
	}
}

func TestChainErrorNamesReplicaAndNumberAlone(t *testing.T) {
	records, _ := chainOf(1)
	records[0].Body = []byte(`{"v":1,"secret`)
	_, err := audit.VerifyChain(sequence(records))
	want := fmt.Sprintf("audit entry 0 of replica %s: malformed audit entry", records[0].Replica)
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
