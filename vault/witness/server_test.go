package witness_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/witness"
)

func (s *site) call(method, path string, body []byte) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), method, path, bytes.NewReader(body)))
	return answer
}

func (s *site) post(body []byte) *httptest.ResponseRecorder {
	return s.call(http.MethodPost, "/add-checkpoint", body)
}

func (s *site) get(path string) *httptest.ResponseRecorder { return s.call(http.MethodGet, path, nil) }

func (s *site) monitor(origin string) *httptest.ResponseRecorder {
	sum := sha256.Sum256([]byte(origin))
	return s.get("/" + hex.EncodeToString(sum[:]) + "/checkpoint")
}

func (s *site) accept(t testing.TB, body []byte) string {
	t.Helper()
	answer := s.post(body)
	if answer.Code != http.StatusOK {
		t.Fatalf("status %d %q", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

// TestStatuses: every status that C2SP tlog-witness has, each by a witness that has
// cosigned 5 entries of the log.
func TestStatuses(t *testing.T) {
	l := newTree(t, origin, 20)
	stranger := newTree(t, origin, 20)
	other := newTree(t, "other.example/log", 20)
	forked := l.fork(t)
	proof, err := l.prove(5, 9)
	must(t, err)
	bent := append(tlog.TreeProof{}, proof...)
	bent[0][0] ^= 1
	swap := func(s, old, fresh string) []byte { return []byte(strings.Replace(s, old, fresh, 1)) }
	good := string(l.request(t, 5, 9))
	badSignature := func(checkpoint []byte) []byte {
		c := []byte(checkpoint)
		i := bytes.LastIndexByte(c, ' ') + 30
		c[i] = map[bool]byte{true: 'B', false: 'A'}[c[i] == 'A']
		return c
	}
	line := func(checkpoint []byte) string {
		_, lines, _ := strings.Cut(string(checkpoint), "\n\n")
		return lines
	}
	emptyButNot := strings.Replace(l.text(t, 9), "\n9\n", "\n0\n", 1)

	for name, c := range map[string]struct {
		body   []byte
		status int
	}{
		"grows":                        {[]byte(good), 200},
		"the same again":               {l.request(t, 5, 5), 200},
		"signed by strangers too":      {[]byte(good + line(stranger.checkpoint(t, 9))), 200},
		"a stranger's bad signature":   {[]byte(good + line(badSignature(stranger.checkpoint(t, 9)))), 200},
		"extension lines":              {body(5, proof, l.sign(t, l.text(t, 9)+"an extension\nand another\n")), 200},
		"unknown origin":               {other.request(t, 0, 9), 404},
		"unknown origin, unsigned":     {body(0, nil, []byte(other.text(t, 9)+"\n")), 404},
		"signed by a stranger alone":   {body(5, proof, stranger.checkpoint(t, 9)), 403},
		"bad signature":                {body(5, proof, badSignature(l.checkpoint(t, 9))), 403},
		"signature of another text":    {body(5, proof, []byte(l.text(t, 9)+"\n"+line(l.checkpoint(t, 8)))), 403},
		"a good and a bad signature":   {[]byte(good + line(badSignature(l.checkpoint(t, 9)))), 403},
		"a bad and a good signature":   {[]byte(string(body(5, proof, badSignature(l.checkpoint(t, 9)))) + line(l.checkpoint(t, 9))), 403},
		"old larger than checkpoint":   {body(9, nil, l.checkpoint(t, 5)), 400},
		"empty":                        {nil, 400},
		"no checkpoint":                {[]byte("old 5\n\n"), 400},
		"no empty line":                {swap(good, "\n\n", "\n"), 400},
		"no old":                       {swap(good, "old 5\n", ""), 400},
		"old is no number":             {swap(good, "old 5", "old five"), 400},
		"old with a zero before":       {swap(good, "old 5", "old 05"), 400},
		"old with a sign":              {swap(good, "old 5", "old +5"), 400},
		"old below zero":               {swap(good, "old 5", "old -5"), 400},
		"old with two spaces":          {swap(good, "old 5", "old  5"), 400},
		"old of 64 bits":               {swap(good, "old 5", "old 18446744073709551615"), 400},
		"carriage return":              {swap(good, "old 5\n", "old 5\r\n"), 400},
		"proof is no base64":           {swap(good, "old 5\n", "old 5\n*\n"), 400},
		"proof of a short hash":        {swap(good, "old 5\n", "old 5\nAAAA\n"), 400},
		"proof of 64 lines":            {body(5, make(tlog.TreeProof, 64), l.checkpoint(t, 9)), 400},
		"checkpoint is no note":        {body(5, proof, []byte(l.text(t, 9))), 400},
		"checkpoint of two lines":      {body(5, proof, l.sign(t, origin+"\n9\n")), 400},
		"checkpoint size 09":           {body(5, proof, l.sign(t, strings.Replace(l.text(t, 9), "\n9\n", "\n09\n", 1))), 400},
		"checkpoint with empty line":   {body(5, proof, l.sign(t, l.text(t, 9)+"\nextension\n")), 400},
		"note with a control char":     {swap(good, "\n9\n", "\n9\x01\n"), 400},
		"another size was the last":    {l.request(t, 4, 9), 409},
		"from nothing":                 {l.request(t, 0, 9), 409},
		"from more":                    {l.request(t, 7, 9), 409},
		"rolled back":                  {l.request(t, 0, 4), 409},
		"rolled back, in place":        {l.request(t, 4, 4), 409},
		"conflict before a bad proof":  {body(4, bent, l.checkpoint(t, 9)), 409},
		"bad proof":                    {body(5, bent, l.checkpoint(t, 9)), 422},
		"no proof":                     {body(5, nil, l.checkpoint(t, 9)), 422},
		"proof too long":               {body(5, append(slices.Clip(proof), tlog.Hash{}), l.checkpoint(t, 9)), 422},
		"proof of 63 lines":            {body(5, make(tlog.TreeProof, 63), l.checkpoint(t, 9)), 422},
		"forked":                       {forked.request(t, 5, 9), 422},
		"another root at the size":     {forked.request(t, 5, 5), 422},
		"proof at the same size":       {body(5, proof, l.checkpoint(t, 5)), 422},
		"an empty tree with a root":    {body(0, nil, l.sign(t, emptyButNot)), 409},
		"too long":                     {append([]byte(good), bytes.Repeat([]byte(line(stranger.checkpoint(t, 9))), 2000)...), 413},
		"sixteen post-quantum sizes":   {append([]byte(good), []byte(strings.Repeat("— pq.example "+base64.StdEncoding.EncodeToString(make([]byte, 4900))+"\n", 16))...), 200},
		"more signatures than allowed": {append([]byte(good), bytes.Repeat([]byte("— x AAAAAAAA\n"), 101)...), 400},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, l)
			s.accept(t, l.request(t, 0, 5))
			before := s.monitor(origin).Body.String()

			answer := s.post(c.body)
			if answer.Code != c.status {
				t.Fatalf("status %d %q, want %d", answer.Code, answer.Body, c.status)
			}
			after := s.monitor(origin).Body.String()
			if answer.Code != http.StatusOK && after != before {
				t.Errorf("a refusal changed the last checkpoint:\n%s", after)
			}
			if cosigned := strings.HasPrefix(answer.Body.String(), "— "); cosigned != (answer.Code == http.StatusOK) {
				t.Errorf("answer %q", answer.Body)
			}
			if answer.Code == http.StatusConflict {
				if got := answer.Body.String(); got != "5\n" || answer.Header().Get("Content-Type") != "text/x.tlog.size" {
					t.Errorf("conflict is %q of type %q", got, answer.Header().Get("Content-Type"))
				}
			}
			if proofOfMisbehaviour := strings.Contains(s.logged.String(), "does not extend"); proofOfMisbehaviour != (c.status == 422) {
				t.Errorf("logged %s", s.logged)
			}
		})
	}
}

func TestEmptyTree(t *testing.T) {
	l := newTree(t, origin, 20)
	s := newSite(t, l)
	notEmpty := l.sign(t, strings.Replace(l.text(t, 9), "\n9\n", "\n0\n", 1))
	if got := s.post(body(0, nil, notEmpty)).Code; got != http.StatusUnprocessableEntity {
		t.Errorf("an empty tree with a root: %d", got)
	}
	if got := s.post(body(0, tlog.TreeProof{{}}, l.checkpoint(t, 9))).Code; got != http.StatusUnprocessableEntity {
		t.Errorf("a proof from the empty tree: %d", got)
	}
	if got := s.post(body(1, nil, l.checkpoint(t, 0))).Code; got != http.StatusBadRequest {
		t.Errorf("old size larger: %d", got)
	}
	s.accept(t, l.request(t, 0, 0))
	s.accept(t, l.request(t, 0, 0))
	s.restart(t)
	s.accept(t, l.request(t, 0, 20))
}

func TestMethodsAndPaths(t *testing.T) {
	l := newTree(t, origin, 3)
	s := newSite(t, l)
	if got := s.get("/add-checkpoint").Code; got != http.StatusMethodNotAllowed {
		t.Errorf("GET add-checkpoint: %d", got)
	}
	if got := s.monitor(origin).Code; got != http.StatusNotFound {
		t.Errorf("checkpoint of a log never cosigned: %d", got)
	}
	s.accept(t, l.request(t, 0, 3))
	if got := s.monitor("other.example/log").Code; got != http.StatusNotFound {
		t.Errorf("checkpoint of an unknown log: %d", got)
	}
	sum := sha256.Sum256([]byte(origin))
	if got := s.get("/" + strings.ToUpper(hex.EncodeToString(sum[:])) + "/checkpoint").Code; got != http.StatusNotFound {
		t.Errorf("hash in upper case: %d", got)
	}
	answer := s.call(http.MethodPost, "/"+hex.EncodeToString(sum[:])+"/checkpoint", nil)
	if answer.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST checkpoint: %d", answer.Code)
	}
}

// TestMonitor: what a monitor is shown has the signatures of both, and nobody else's.
func TestMonitor(t *testing.T) {
	l, stranger := newTree(t, origin, 9), newTree(t, origin, 9)
	s := newSite(t, l)
	line := s.accept(t, body(0, nil, l.sign(t, l.text(t, 9), stranger.signer)))

	shown := s.monitor(origin)
	if shown.Code != http.StatusOK || !strings.HasSuffix(shown.Body.String(), line) {
		t.Fatalf("%d %s", shown.Code, shown.Body)
	}
	n, err := note.Open(shown.Body.Bytes(), note.VerifierList(l.key, s.verifier(t)))
	must(t, err)
	if len(n.Sigs) != 2 || len(n.UnverifiedSigs) != 0 || n.Text != l.text(t, 9) {
		t.Errorf("shows %s", shown.Body)
	}
}

// TestCosignature: another implementation verifies what the server signs, and the
// time is the clock's.
func TestCosignature(t *testing.T) {
	l := newTree(t, origin, 9)
	s := newSite(t, l)
	text := l.text(t, 9) + "an extension line is cosigned too\n"
	line := s.accept(t, body(0, nil, l.sign(t, text)))

	v, err := formats.NewVerifierForCosignatureV1(s.key.VerifierKey())
	must(t, err)
	n, err := note.Open([]byte(text+"\n"+line), note.VerifierList(v))
	must(t, err)
	at, err := formats.CoSigV1Timestamp(n.Sigs[0])
	must(t, err)
	if !at.Equal(s.now) || n.Sigs[0].Name != witnessName {
		t.Errorf("signed at %v by %s", at, n.Sigs[0].Name)
	}
	s.now = s.now.Add(time.Hour)
	again := s.accept(t, body(9, nil, l.sign(t, text)))
	if again == line {
		t.Error("the time of the second cosignature is that of the first")
	}
	if !strings.Contains(s.monitor(origin).Body.String(), again) {
		t.Error("the last cosignature is not shown")
	}
}

// TestClock: a cosignature without a time is none.
func TestClock(t *testing.T) {
	l := newTree(t, origin, 9)
	s := newSite(t, l)
	s.now = time.Time{}
	if got := s.post(l.request(t, 0, 9)); got.Code != http.StatusInternalServerError || got.Body.String() != "internal\n" {
		t.Errorf("%d %q", got.Code, got.Body)
	}
	if got := s.monitor(origin).Code; got != http.StatusNotFound {
		t.Errorf("it was stored: %d", got)
	}
}

// TestRotation: while one key of the log replaces another, either will do.
func TestRotation(t *testing.T) {
	old, fresh := newTree(t, origin, 9), newTree(t, origin, 9)
	s := newSite(t, old)
	s.accept(t, old.request(t, 0, 5))
	s.logs = append(s.logs, fresh.key)
	s.restart(t)
	s.accept(t, body(5, mustProve(t, old, 5, 7), old.sign(t, old.text(t, 7), fresh.signer)))
	s.logs = s.logs[1:]
	s.restart(t)
	s.accept(t, fresh.request(t, 7, 9))
	if got := s.post(old.request(t, 9, 9)).Code; got != http.StatusForbidden {
		t.Errorf("the old key still counts: %d", got)
	}
}

func mustProve(t testing.TB, l *tree, old, size int64) tlog.TreeProof {
	t.Helper()
	proof, err := l.prove(old, size)
	must(t, err)
	return proof
}

// TestManyLogs: each log has its own tree.
func TestManyLogs(t *testing.T) {
	a, b := newTree(t, "a.example/log", 20), newTree(t, "b.example/log", 30)
	s := newSite(t, a, b)
	s.accept(t, a.request(t, 0, 20))
	s.accept(t, b.request(t, 0, 10))
	s.restart(t)
	s.accept(t, b.request(t, 10, 30))
	s.accept(t, a.request(t, 20, 20))
	// A log's key is no other log's.
	if got := s.post(body(20, nil, b.sign(t, a.text(t, 20)))).Code; got != http.StatusForbidden {
		t.Errorf("signed with the key of another log: %d", got)
	}
}

func TestNewServerRefuses(t *testing.T) {
	l := newTree(t, origin, 1)
	s := newSite(t, l)
	whole := witness.Config{Key: s.key, Logs: s.logs, State: s.state, Clock: time.Now, Log: discard()}
	for name, change := range map[string]func(*witness.Config){
		"no key":        func(c *witness.Config) { c.Key = nil },
		"no logs":       func(c *witness.Config) { c.Logs = nil },
		"no state":      func(c *witness.Config) { c.State = nil },
		"no clock":      func(c *witness.Config) { c.Clock = nil },
		"no log":        func(c *witness.Config) { c.Log = nil },
		"one key twice": func(c *witness.Config) { c.Logs = append(c.Logs, c.Logs[0]) },
	} {
		cfg := whole
		change(&cfg)
		if _, err := witness.NewServer(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
