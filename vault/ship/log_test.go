package ship_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

const origin = "cards.example.com/audit"

// testLog is a log in memory. Its entries and key follow from the seed: two of one seed are the same log.
type testLog struct {
	signer note.Signer
	key    note.Verifier
	seed   string

	mu      sync.Mutex
	bodies  [][]byte
	dropped int // bodies below are gone
	hashes  []tlog.Hash
	grown   chan struct{}
	streams int
	// batch is how many entries are sent at once.
	batch int
	// lie changes a batch before it is sent; broken ends every stream at once.
	lie    func(audit.Batch) audit.Batch
	broken error
	served int // entries sent, over all streams
}

func newTestLog(t testing.TB, seed string, size int) *testLog {
	t.Helper()
	l, err := makeTestLog(seed, size)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func makeTestLog(seed string, size int) (*testLog, error) {
	private, public, err := note.GenerateKey(strings.NewReader(strings.Repeat(seed, 32)), origin)
	if err != nil {
		return nil, err
	}
	l := &testLog{seed: seed, grown: make(chan struct{}), batch: 1000}
	if l.signer, err = note.NewSigner(private); err != nil {
		return nil, err
	}
	if l.key, err = note.NewVerifier(public); err != nil {
		return nil, err
	}
	l.grow(size)
	return l, nil
}

// testEntry is the entry of an index.
func testEntry(seed string, index int64) audit.Entry {
	id := func(what string) uuid.UUID { return uuid.NewSHA1(uuid.Nil, fmt.Append(nil, seed, what, index)) }
	e := audit.Entry{
		Replica: uuid.NewSHA1(uuid.Nil, []byte(seed)), Number: index, Prev: sha256.Sum256(fmt.Append(nil, seed, index)),
		Time:      time.Date(2026, 1, 31, 23, 50, 0, 123456000, time.UTC).Add(time.Duration(index) * time.Second),
		Principal: "spiffe://cards.example.com/tenant/shop/checkout", CertSerial: "0a1b", Tenant: "shop",
		Action: "DetokenizeCard", Decision: audit.Allow, Policy: "checkout", Purpose: "settlement", View: "FULL",
		Card: id("card"), Key: id("key"), BINRange: "debit-eu", RequestID: id("request"), Result: "OK",
	}
	switch index % 5 {
	case 3:
		e.Decision, e.Policy, e.Result = audit.Deny, "", "PERMISSION_DENIED"
	case 4:
		e.Principal, e.CertSerial, e.Tenant, e.Action = "", "", "", "CreateKey"
	}
	return e
}

// grow appends entries and publishes a checkpoint of them.
func (l *testLog) grow(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		index := int64(len(l.bodies))
		e := testEntry(l.seed, index)
		body := e.Encode()
		hashes, err := tlog.StoredHashesForRecordHash(index, audit.LeafHash(body), tlog.HashReaderFunc(l.read))
		if err != nil {
			panic(err)
		}
		l.bodies, l.hashes = append(l.bodies, body), append(l.hashes, hashes...)
	}
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *testLog) read(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		out[i] = l.hashes[index]
	}
	return out, nil
}

// checkpoint signs the head; l.mu is held.
func (l *testLog) checkpoint() []byte {
	root := tlog.Hash(sha256.Sum256(nil))
	if len(l.bodies) > 0 {
		var err error
		if root, err = tlog.TreeHash(int64(len(l.bodies)), tlog.HashReaderFunc(l.read)); err != nil {
			panic(err)
		}
	}
	signed, err := note.Sign(&note.Note{Text: audit.Checkpoint{Origin: origin, Size: int64(len(l.bodies)), Root: root}.Text()}, l.signer)
	if err != nil {
		panic(err)
	}
	return signed
}

func (l *testLog) Checkpoint(context.Context) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return nil, l.broken
	}
	return l.checkpoint(), nil
}

func (l *testLog) ProveConsistency(_ context.Context, first, second int64) (tlog.TreeProof, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return tlog.ProveTree(second, first, tlog.HashReaderFunc(l.read))
}

func (l *testLog) Read(ctx context.Context, from int64) iter.Seq2[audit.Batch, error] {
	return func(yield func(audit.Batch, error) bool) {
		l.count(+1)
		defer l.count(-1)
		var head int64 = -1
		for {
			l.mu.Lock()
			wait, lie, broken := l.grown, l.lie, l.broken
			var batch audit.Batch
			if size := int64(len(l.bodies)); size > head && size > from {
				head, batch.Checkpoint = size, l.checkpoint()
			}
			for ; from < head && len(batch.Entries) < l.batch; from++ {
				batch.Entries = append(batch.Entries, l.entry(from))
			}
			l.served += len(batch.Entries)
			l.mu.Unlock()
			switch {
			case broken != nil:
				yield(audit.Batch{}, broken)
				return
			case batch.Checkpoint == nil && len(batch.Entries) == 0:
				select {
				case <-ctx.Done():
					yield(audit.Batch{}, ctx.Err())
					return
				case <-wait:
				}
				continue
			case lie != nil:
				batch = lie(batch)
			}
			if !yield(batch, nil) {
				return
			}
		}
	}
}

func (l *testLog) entry(index int64) audit.LogEntry {
	e := audit.LogEntry{Index: index, Body: l.bodies[index]}
	if index < int64(l.dropped) {
		e.Body, e.Leaf = nil, audit.LeafHash(e.Body)
	}
	return e
}

func (l *testLog) count(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.streams += n
}

// set changes the log's manners, for streams that are open too.
func (l *testLog) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	close(l.grown)
	l.grown = make(chan struct{})
}

var errDown = errors.New("down")
