package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/cardvault/cardvault/crypto/localsigner"
	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/audit"
)

// provenLog is a log in memory, behind the API. What it answers can be false.
type provenLog struct {
	cardvaultv1.UnimplementedAuditServiceServer

	signer  *localsigner.Signer
	records []audit.Record
	hashes  []tlog.Hash
	// size of the newest checkpoint.
	size int64
	// pending is how often the entry is not in a checkpoint yet.
	pending int
	// lie changes an answer before it leaves.
	lie func(*cardvaultv1.GetInclusionProofResponse)
}

func newProvenLog(t *testing.T, n int) *provenLog {
	t.Helper()
	signer, err := localsigner.Create(filepath.Join(t.TempDir(), "key"), "test/log")
	if err != nil {
		t.Fatal(err)
	}
	l := &provenLog{signer: signer, size: int64(n)}
	chain := audit.NewChain(uuid.New())
	for i := range n {
		var record audit.Record
		chain, record = chain.Append(audit.Entry{Action: "DetokenizeCard", View: "FULL", Purpose: "settlement", Tenant: "demo", Count: i}, time.Now())
		l.append(t, record)
	}
	return l
}

func (l *provenLog) append(t *testing.T, record audit.Record) {
	t.Helper()
	stored, err := tlog.StoredHashes(int64(len(l.records)), record.Body, l)
	if err != nil {
		t.Fatal(err)
	}
	l.records, l.hashes = append(l.records, record), append(l.hashes, stored...)
}

// ReadHashes implements tlog.HashReader.
func (l *provenLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = l.hashes[index]
	}
	return hashes, nil
}

func (l *provenLog) checkpoint(ctx context.Context) ([]byte, error) {
	root, err := tlog.TreeHash(l.size, l)
	if err != nil {
		return nil, err
	}
	return l.signer.Sign(ctx, audit.Checkpoint{Origin: "test/log", Size: l.size, Root: root}.Text())
}

func (l *provenLog) GetCheckpoint(ctx context.Context, _ *cardvaultv1.GetCheckpointRequest) (*cardvaultv1.GetCheckpointResponse, error) {
	signed, err := l.checkpoint(ctx)
	return &cardvaultv1.GetCheckpointResponse{Checkpoint: signed}, err
}

func (l *provenLog) GetInclusionProof(ctx context.Context, r *cardvaultv1.GetInclusionProofRequest) (*cardvaultv1.GetInclusionProofResponse, error) {
	if l.pending--; l.pending >= 0 {
		refused, err := status.New(codes.Unavailable, "no checkpoint covers the entry yet").
			WithDetails(&errdetails.ErrorInfo{Reason: "ENTRY_PENDING", Domain: "cardvault"})
		return nil, errors.Join(err, refused.Err())
	}
	index := r.GetIndex()
	if receipt := r.GetReceipt(); receipt != nil {
		index = receipt.GetNumber()
	}
	hashes, err := tlog.ProveRecord(l.size, index, l)
	if err != nil {
		return nil, err
	}
	signed, err := l.checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	answer := &cardvaultv1.GetInclusionProofResponse{
		Entry: &cardvaultv1.Entry{Body: l.records[index].Body}, Index: index,
		Proof: audit.Proof{Index: index, Hashes: hashes, Checkpoint: signed}.Text(),
	}
	if l.lie != nil {
		l.lie(answer)
	}
	return answer, nil
}

func (l *provenLog) GetConsistencyProof(_ context.Context, r *cardvaultv1.GetConsistencyProofRequest) (*cardvaultv1.GetConsistencyProofResponse, error) {
	hashes, err := tlog.ProveTree(r.GetSecondSize(), r.GetFirstSize(), l)
	if err != nil {
		return nil, err
	}
	answer := &cardvaultv1.GetConsistencyProofResponse{}
	for _, h := range hashes {
		answer.Hashes = append(answer.Hashes, h[:])
	}
	return answer, nil
}

// session serves the log on loopback.
func (l *provenLog) session(t *testing.T) *session {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	cardvaultv1.RegisterAuditServiceServer(server, l)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return &session{conn: conn, timeout: time.Minute}
}

func (l *provenLog) keys(t *testing.T) []note.Verifier {
	t.Helper()
	keys, err := l.signer.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// proves asks for a proof as the command does.
func (l *provenLog) proves(t *testing.T, text string) (provenEntry, error) {
	t.Helper()
	s := l.session(t)
	at, err := parseEntryPlace(text)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := s.awaitProof(t.Context(), at, func() {})
	if err != nil {
		t.Fatal(err)
	}
	return proveAnswer(answer, at, l.keys(t))
}

// TestProofIsKept: what prove keeps is verified later from the one file, and no
// change of it proves anything else.
func TestProofIsKept(t *testing.T) {
	l := newProvenLog(t, 20)
	receipt := l.records[7].Replica.String() + "/7"
	for _, at := range []string{"7", receipt} {
		p, err := l.proves(t, at)
		if err != nil || p.proof.Index != 7 || p.checkpoint.Size != 20 || p.entry.Count != 7 {
			t.Fatalf("%s: %+v, %v", at, p, err)
		}
		kept, err := openProof(p.file(), l.keys(t))
		if err != nil || !bytes.Equal(kept.body, p.body) || kept.proof.Index != 7 {
			t.Fatalf("%s: %+v, %v", at, kept, err)
		}
		file := p.file()
		for i := range file {
			changed := bytes.Clone(file)
			changed[i] ^= 1
			// The last base64 digit of a signature has bits that say nothing.
			if got, err := openProof(changed, l.keys(t)); err == nil &&
				(!bytes.Equal(got.body, p.body) || got.proof.Index != p.proof.Index || got.checkpoint != p.checkpoint) {
				t.Errorf("byte %d changed, and something else is proven: %q", i, changed)
			}
		}
		if _, err := openProof(file, newProvenLog(t, 1).keys(t)); asExit(err).reason != "NOT_VERIFIED" {
			t.Errorf("with another key: %v", err)
		}
		if _, err := openProof(p.proof.Text(), l.keys(t)); asExit(err).code != exitUsage {
			t.Errorf("without the entry: %v", err)
		}
	}
}

func TestProvenAnswer(t *testing.T) {
	l := newProvenLog(t, 3)
	p, err := l.proves(t, "2")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.print(printer{w: &out, json: true}); err != nil {
		t.Fatal(err)
	}
	var answer provenAnswer
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Index != 2 || answer.Size != 3 || answer.Origin != "test/log" || !bytes.Equal(answer.Entry, l.records[2].Body) || answer.Root != p.checkpoint.Root.String() {
		t.Errorf("%s", out.String())
	}
	out.Reset()
	if err := p.print(printer{w: &out}); err != nil || !strings.Contains(out.String(), "DetokenizeCard") || !strings.Contains(out.String(), "test/log") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// TestFalseProofs: a server that answers with something else than was asked for is
// found out.
func TestFalseProofs(t *testing.T) {
	for name, tc := range map[string]struct {
		lie    func(l *provenLog, a *cardvaultv1.GetInclusionProofResponse)
		reason string
	}{
		"another entry, well proven": {func(l *provenLog, a *cardvaultv1.GetInclusionProofResponse) {
			l.lie = nil
			other, err := l.GetInclusionProof(context.Background(), &cardvaultv1.GetInclusionProofRequest{Place: &cardvaultv1.GetInclusionProofRequest_Index{Index: 4}})
			if err == nil {
				a.Entry, a.Index, a.Proof = other.GetEntry(), other.GetIndex(), other.GetProof()
			}
		}, "NOT_VERIFIED"},
		"another body": {func(l *provenLog, a *cardvaultv1.GetInclusionProofResponse) {
			a.Entry.Body = l.records[4].Body
		}, "NOT_VERIFIED"},
		"no proof": {func(_ *provenLog, a *cardvaultv1.GetInclusionProofResponse) { a.Proof = nil }, "NOT_VERIFIED"},
		"cut short": {func(_ *provenLog, a *cardvaultv1.GetInclusionProofResponse) {
			a.Proof = a.GetProof()[:len(a.GetProof())-10]
		}, "NOT_VERIFIED"},
		"dropped": {func(_ *provenLog, a *cardvaultv1.GetInclusionProofResponse) { a.Entry = nil }, "ENTRY_DROPPED"},
	} {
		for _, byReceipt := range []bool{false, true} {
			l := newProvenLog(t, 9)
			at := "5"
			if byReceipt {
				at = l.records[5].Replica.String() + "/5"
			}
			l.lie = func(a *cardvaultv1.GetInclusionProofResponse) { tc.lie(l, a) }
			if _, err := l.proves(t, at); err == nil || asExit(err).reason != tc.reason {
				t.Errorf("%s, by receipt %t: %v, want %s", name, byReceipt, err, tc.reason)
			}
		}
	}
}

// TestPendingIsAwaited: prove says once that it waits, and gets its proof.
func TestPendingIsAwaited(t *testing.T) {
	l := newProvenLog(t, 2)
	l.pending = 3
	s := l.session(t)
	told := 0
	answer, err := s.awaitProof(t.Context(), entryPlace{index: 1}, func() { told++ })
	if err != nil || told != 1 || answer.GetIndex() != 1 {
		t.Errorf("%v, %v, told %d times", answer, err, told)
	}
	l.pending = 1 << 20
	ctx, cancel := context.WithCancel(t.Context())
	_, err = s.awaitProof(ctx, entryPlace{index: 1}, cancel)
	if asExit(err).reason != "ENTRY_PENDING" {
		t.Errorf("given up: %v", err)
	}
}

// TestSinceOlderCheckpoint: a log that was cut or rewritten since is told apart from
// one that only grew.
func TestSinceOlderCheckpoint(t *testing.T) {
	l, fork := newProvenLog(t, 30), newProvenLog(t, 30)
	fork.signer = l.signer // the operator's own key signs both
	keep := func(l *provenLog, size int64) string {
		t.Helper()
		was := l.size
		l.size = size
		signed, err := l.checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l.size = was
		path := filepath.Join(t.TempDir(), "checkpoint")
		if err := os.WriteFile(path, signed, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no checkpoint\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		since  string
		size   int64
		code   exitCode
		reason string
	}{
		"none":                 {"", 30, exitOK, ""},
		"of no entries":        {keep(l, 0), 30, exitOK, ""},
		"shorter":              {keep(l, 17), 30, exitOK, ""},
		"the same":             {keep(l, 30), 30, exitOK, ""},
		"longer":               {keep(l, 30), 29, exitFailed, "LOG_ROLLED_BACK"},
		"of a fork":            {keep(fork, 17), 30, exitFailed, "LOG_FORKED"},
		"of a fork, same size": {keep(fork, 30), 30, exitFailed, "LOG_FORKED"},
		"of another key":       {keep(newProvenLog(t, 5), 3), 30, exitUsage, ""},
		"no checkpoint":        {text, 30, exitUsage, ""},
		"not there":            {filepath.Join(t.TempDir(), "nothing"), 30, exitUsage, ""},
	} {
		l.size = tc.size
		s := l.session(t)
		signed, err := l.checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		trust := logTrust{since: tc.since}
		err = trust.verify(t.Context(), s, signed, l.keys(t))
		if (err == nil) != (tc.code == exitOK) || err != nil && (asExit(err).code != tc.code || asExit(err).reason != tc.reason) {
			t.Errorf("%s: %v, want exit code %d, %s", name, err, tc.code, tc.reason)
		}
	}
}

func TestEntryPlaces(t *testing.T) {
	const replica = "0198c5d2-6d0e-4c39-9a57-52a1f6d7c1aa"
	for text, want := range map[string]entryPlace{
		"0":                             {index: 0},
		"1024":                          {index: 1024},
		replica + "/0":                  {receipt: &cardvaultv1.Receipt{Replica: replica}},
		strings.ToUpper(replica) + "/7": {receipt: &cardvaultv1.Receipt{Replica: replica, Number: 7}},
	} {
		got, err := parseEntryPlace(text)
		if err != nil || got.index != want.index || got.receipt.String() != want.receipt.String() {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-1", "x", "1.5", "/1", replica, replica + "/", replica + "/-1", replica + "/x", replica + "/1/2", "a/1"} {
		if _, err := parseEntryPlace(text); err == nil || asExit(err).code != exitUsage {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestLogKeys(t *testing.T) {
	l := newProvenLog(t, 1)
	dir := t.TempDir()
	file := filepath.Join(dir, devVerifier)
	if err := os.WriteFile(file, []byte("# the log\n"+l.signer.VerifierKey()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		trust logTrust
		c     *connection
		n     int
		ok    bool
	}{
		"text":             {logTrust{key: l.signer.VerifierKey()}, nil, 1, true},
		"file":             {logTrust{key: "@" + file}, nil, 1, true},
		"dev folder":       {logTrust{}, &connection{as: "auditor", dir: dir}, 1, true},
		"no dev folder":    {logTrust{}, &connection{as: "auditor", dir: t.TempDir()}, 0, true},
		"none":             {logTrust{}, &connection{}, 0, true},
		"none, with since": {logTrust{since: "old"}, &connection{}, 0, false},
		"no key":           {logTrust{key: "key"}, nil, 0, false},
		"no file":          {logTrust{key: "@" + filepath.Join(dir, "nothing")}, nil, 0, false},
		"empty file":       {logTrust{key: "@" + os.DevNull}, nil, 0, false},
	} {
		keys, err := tc.trust.keys(tc.c)
		if len(keys) != tc.n || (err == nil) != tc.ok || err != nil && asExit(err).code != exitUsage {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
		if _, err := tc.trust.required(tc.c); (err == nil) != (tc.n > 0) {
			t.Errorf("%s, required: %v", name, err)
		}
	}
}
