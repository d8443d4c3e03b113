package archive_test

import (
	"testing"
	"testing/fstest"

	cosign "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/witness"
	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/vault/archive"
)

// sample is a log in a folder, as it might come to be.
type sample struct {
	log    *testLog
	files  fstest.MapFS
	since  []byte
	policy archive.Witnesses
}

// anySample makes a log of about size entries from a seed, exports it in several
// runs, drops its beginning or not, and has it cosigned or not.
func anySample(tb testing.TB, seed uint64, size int) sample {
	tb.Helper()
	l := newLog(tb, seed).quicken()
	d := &dice{seed ^ 0x5eed}
	m := newMemory()
	step := func(to int64) {
		tb.Helper()
		if err := export(l, m, to); err != nil {
			tb.Fatal(err)
		}
	}
	l.grow(d.below(size + 1))
	if d.oneIn(4) {
		step(int64(d.below(len(l.bodies) + 1)))
		step(l.size())
	}
	if d.oneIn(4) {
		l.prune(int64(d.below(len(l.bodies) + 1)))
	}
	l.grow(size - min(size, len(l.bodies)))
	step(l.size())
	s := sample{log: l, files: m.files()}
	if d.oneIn(4) {
		s.since = l.checkpoint(int64(d.below(len(l.bodies) + 1)))
	}
	if d.oneIn(8) {
		s.cosign()
	}
	return s
}

// cosign has two witnesses sign the checkpoint, as the policy wants.
func (s *sample) cosign() {
	s.log.tb.Helper()
	signers := []note.Signer{s.log.signer}
	policy := ""
	for i, name := range []string{"w0", "w1"} {
		skey, vkey := keyPair("witness.example.com/"+name, 4, byte(100+i))
		signer, err := cosign.NewSignerForCosignatureV1(skey)
		if err != nil {
			s.log.tb.Fatal(err)
		}
		signers = append(signers, signer)
		policy += "witness " + name + " " + vkey + " https://witness.example.com/" + name + "\n"
	}
	group, err := witness.ParsePolicy([]byte(policy + "group both all w0 w1\nquorum both\n"))
	if err != nil {
		s.log.tb.Fatal(err)
	}
	s.policy = group
	at(s.files, "checkpoint", sign(s.log.tb, s.log.head(s.log.size()), signers...))
}

func (s *sample) verify(files fstest.MapFS) *archive.Report {
	s.log.tb.Helper()
	return verify(s.log, files, func(o *archive.Options) { o.Since, o.Witnesses = s.since, s.policy })
}

// anySize draws sizes around those at which tiles become full.
func anySize(d *dice) int {
	switch {
	case d.oneIn(100):
		return pick(d, 255, 256, 257, 511, 512, 513)
	case d.oneIn(20):
		return d.below(3)
	default:
		return d.below(20)
	}
}

// TestCleanLogsRaiseNothing verifies 10,000 logs in which nothing is wrong.
func TestCleanLogsRaiseNothing(t *testing.T) {
	t.Parallel()
	const logs = 10_000
	d := &dice{1}
	for i := range uint64(logs) {
		size := anySize(d)
		if i == 0 {
			size = 65_536 + d.below(3)
		}
		s := anySample(t, i, size)
		r := s.verify(s.files)
		if !r.Good() {
			t.Fatalf("log %d of %d entries: %v", i, s.log.size(), r.Findings)
		}
		if r.Size != s.log.size() || r.Entries+r.Dropped != r.Size {
			t.Fatalf("log %d of %d entries: %d of %d read, %d dropped", i, s.log.size(), r.Entries, r.Size, r.Dropped)
		}
	}
}
