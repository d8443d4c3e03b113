package witness_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/ledger"
	"github.com/cardvault/cardvault/vault/witness"
)

var _ ledger.Witnesses = (*witness.Client)(nil)

// remote is a witness on loopback, with what a test puts before it.
type remote struct {
	*site
	web    *httptest.Server
	before atomic.Pointer[http.HandlerFunc]
	calls  atomic.Int64
}

// serve starts a witness of its own name. Where tls is not set it speaks plain HTTP.
func serve(t *testing.T, name string, tls bool, logs ...*tree) *remote {
	t.Helper()
	r := &remote{site: namedSite(t, name, logs...)}
	r.web = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, ask *http.Request) {
		r.calls.Add(1)
		if before := r.before.Load(); before != nil {
			(*before)(w, ask)
			return
		}
		r.ServeHTTP(w, ask)
	}))
	r.web.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	if tls {
		r.web.StartTLS()
	} else {
		r.web.Start()
	}
	t.Cleanup(r.web.Close)
	return r
}

// instead answers in place of the witness; nil: nobody does.
func (r *remote) instead(h http.HandlerFunc) {
	if h == nil {
		r.before.Store(nil)
		return
	}
	r.before.Store(&h)
}

func answers(status int, mediaType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// policyOf asks for at least k of the witnesses.
func policyOf(k int, witnesses ...*remote) string {
	var b strings.Builder
	names := ""
	for i, r := range witnesses {
		fmt.Fprintf(&b, "witness w%d %s %s\n", i, r.key.VerifierKey(), r.web.URL)
		names += fmt.Sprintf(" w%d", i)
	}
	fmt.Fprintf(&b, "group all-of-them %d%s\nquorum all-of-them\n", k, names)
	return b.String()
}

func clientOf(t testing.TB, l *tree, policy string, change ...func(*witness.ClientConfig)) *witness.Client {
	t.Helper()
	p, err := witness.ParsePolicy([]byte(policy))
	must(t, err)
	cfg := witness.ClientConfig{
		Policy: p, Timeout: 10 * time.Second, Log: discard(),
		Keys: func(context.Context) ([]note.Verifier, error) { return []note.Verifier{l.key}, nil },
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := witness.NewClient(cfg)
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

// cosigners returns whose good cosignatures a checkpoint has.
func cosigners(t *testing.T, l *tree, checkpoint []byte, witnesses ...*remote) (names string) {
	t.Helper()
	keys := []note.Verifier{l.key}
	for _, r := range witnesses {
		keys = append(keys, r.verifier(t))
	}
	n, err := note.Open(checkpoint, note.VerifierList(keys...))
	must(t, err)
	for _, sig := range n.Sigs[1:] {
		names += strings.TrimPrefix(sig.Name, "witness.example/")
	}
	return names
}

func TestCosign(t *testing.T) {
	l := newTree(t, origin, 300)
	a, b, c := serve(t, "witness.example/a", false, l), serve(t, "witness.example/b", false, l), serve(t, "witness.example/c", false, l)
	client := clientOf(t, l, policyOf(3, a, b, c))
	b.accept(t, l.request(t, 0, 5)) // one of them has seen some of the log before
	for _, size := range []int64{0, 5, 5, 6, 255, 256, 300} {
		var proofs atomic.Int64
		cosigned, err := client.Cosign(t.Context(), l.checkpoint(t, size), size, func(old int64) (tlog.TreeProof, error) {
			proofs.Add(1)
			return l.prove(old, size)
		})
		if size == 0 {
			if !errors.Is(err, witness.ErrAhead) {
				t.Fatalf("an empty tree, after five entries were seen: %v", err)
			}
			continue
		}
		must(t, err)
		if got := cosigners(t, l, cosigned, a, b, c); got != "abc" {
			t.Errorf("size %d: cosigned by %q", size, got)
		}
		if proofs.Load() > 1 {
			t.Errorf("size %d: the same proof was made %d times", size, proofs.Load())
		}
	}
	// What is remembered saves the question for the size.
	before := a.calls.Load()
	_, err := client.Cosign(t.Context(), l.checkpoint(t, 300), 300, l.prover(300))
	must(t, err)
	client.Close()
	if asked := a.calls.Load() - before; asked != 1 {
		t.Errorf("%d calls for one cosignature", asked)
	}
}

func TestCosignOverTLS(t *testing.T) {
	l := newTree(t, origin, 9)
	a := serve(t, "witness.example/a", true, l)
	if _, err := clientOf(t, l, policyOf(1, a)).Cosign(t.Context(), l.checkpoint(t, 9), 9, l.prover(9)); !errors.Is(err, witness.ErrNoQuorum) {
		t.Errorf("a certificate that nobody vouches for: %v", err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(a.web.Certificate())
	client := clientOf(t, l, policyOf(1, a), func(cfg *witness.ClientConfig) { cfg.CAs = trusted })
	cosigned, err := client.Cosign(t.Context(), l.checkpoint(t, 9), 9, l.prover(9))
	must(t, err)
	if got := cosigners(t, l, cosigned, a); got != "a" {
		t.Errorf("cosigned by %q", got)
	}
}

// TestWitnessesThatFail: what a bad witness says counts for nothing, and the error
// names it.
func TestWitnessesThatFail(t *testing.T) {
	l := newTree(t, origin, 20)
	forger := namedSite(t, "witness.example/b", l) // has the name, and not the key
	var replay string
	for name, h := range map[string]http.HandlerFunc{
		"500":                     answers(500, "text/plain", "internal"),
		"404":                     answers(404, "text/plain", "unknown log"),
		"403":                     answers(403, "text/plain", ""),
		"422, and no evidence":    answers(422, "text/plain", ""),
		"409, and no evidence":    answers(409, "text/x.tlog.size", "1000\n"),
		"409 over and over":       answers(409, "text/x.tlog.size", "7\n"),
		"409 of another type":     answers(409, "text/plain", "7\n"),
		"409 without newline":     answers(409, "text/x.tlog.size", "7"),
		"409 that is no number":   answers(409, "text/x.tlog.size", "-1\n"),
		"empty":                   answers(200, "text/plain", ""),
		"no signature":            answers(200, "text/plain", "hello\n"),
		"endless":                 answers(200, "text/plain", strings.Repeat("— x AAAAAAAA\n", 100_000)),
		"a redirect":              nil, // set below: it leads to the true witness
		"hangs up":                func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"another key of its name": func(w http.ResponseWriter, r *http.Request) { forger.ServeHTTP(w, r) },
		"an old cosignature":      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(replay)) },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := serve(t, "witness.example/a", false, l), serve(t, "witness.example/b", false, l)
			replay = b.accept(t, l.request(t, 0, 5))
			if h == nil {
				h = func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/add-checkpoint" {
						http.Redirect(w, r, "/true/add-checkpoint", http.StatusTemporaryRedirect)
						return
					}
					http.StripPrefix("/true", b).ServeHTTP(w, r)
				}
			}
			b.instead(h)
			one, both := clientOf(t, l, policyOf(1, a, b)), clientOf(t, l, policyOf(2, a, b))
			cosigned, err := one.Cosign(t.Context(), l.checkpoint(t, 20), 20, l.prover(20))
			must(t, err)
			if got := cosigners(t, l, cosigned, a, b); got != "a" {
				t.Errorf("cosigned by %q", got)
			}
			_, err = both.Cosign(t.Context(), l.checkpoint(t, 20), 20, l.prover(20))
			if !errors.Is(err, witness.ErrNoQuorum) || !strings.Contains(err.Error(), "witness.example/b") || strings.Contains(err.Error(), "witness.example/a") {
				t.Errorf("without a quorum: %v", err)
			}
			why := map[string]string{"endless": "too long"}
			if !strings.Contains(err.Error(), why[name]) {
				t.Errorf("%v, want %q", err, why[name])
			}
			b.instead(nil)
			_, err = both.Cosign(t.Context(), l.checkpoint(t, 20), 20, l.prover(20))
			must(t, err)
		})
	}
}

// TestForked: a log that changes its past is told so, with the proof that it signed
// another one.
func TestForked(t *testing.T) {
	l := newTree(t, origin, 20)
	fork := l.fork(t)
	for name, c := range map[string]struct {
		log  *tree
		size int64
		want error
	}{
		"forked":              {fork, 20, witness.ErrForked},
		"forked in place":     {fork, 10, witness.ErrForked},
		"rolled back":         {l, 9, witness.ErrAhead},
		"rolled back to none": {l, 0, witness.ErrAhead},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := serve(t, "witness.example/a", false, l), serve(t, "witness.example/b", false, l)
			seen := l.checkpoint(t, 10)
			a.accept(t, body(0, nil, seen))
			// Only one of the two has seen it, and the quorum needs the other: both must
			// answer.
			client := clientOf(t, l, policyOf(2, a, b))
			_, err := client.Cosign(t.Context(), c.log.checkpoint(t, c.size), c.size, c.log.prover(c.size))
			if !errors.Is(err, c.want) {
				t.Fatalf("error %v", err)
			}
			forked, ok := errors.AsType[*witness.ForkedError](err)
			if !ok || forked.Witness != "witness.example/a" || forked.Seen.Size != 10 || forked.Ours.Size != c.size {
				t.Errorf("error %+v", forked)
			}
			if got := cosigners(t, l, forked.Evidence, a); got != "a" || !bytes.HasPrefix(forked.Evidence, seen) {
				t.Errorf("evidence %s", forked.Evidence)
			}
		})
	}
}

// TestFalseAlarm: a witness that only says that the log was forked, or shows what the
// log has not signed, does not stop the log.
func TestFalseAlarm(t *testing.T) {
	l, stranger := newTree(t, origin, 20), newTree(t, origin, 30)
	a := serve(t, "witness.example/a", false, l)
	lines, err := a.key.Cosign(stranger.text(t, 30), a.now)
	must(t, err)
	invented := string(stranger.checkpoint(t, 30)) + lines
	unsigned := string(l.fork(t).text(t, 20)) + "\n" + lines
	lines, err = a.key.Cosign(l.text(t, 15), a.now)
	must(t, err)
	consistent := string(l.checkpoint(t, 15)) + lines
	withoutWitness := string(l.fork(t).checkpoint(t, 20))
	for name, shown := range map[string]string{
		"invented": invented, "unsigned": unsigned, "consistent": consistent, "without the witness": withoutWitness, "nothing": "",
	} {
		for _, refusal := range []http.HandlerFunc{answers(409, "text/x.tlog.size", "30\n"), answers(422, "text/plain", "")} {
			a.instead(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					answers(200, "text/plain", shown)(w, r)
					return
				}
				refusal(w, r)
			})
			_, err := clientOf(t, l, policyOf(1, a)).Cosign(t.Context(), l.checkpoint(t, 20), 20, l.prover(20))
			if _, forked := errors.AsType[*witness.ForkedError](err); forked || !errors.Is(err, witness.ErrNoQuorum) || !errors.Is(err, witness.ErrDisputed) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestSlowWitness: whoever the quorum does not need is not waited for, is heard all
// the same, and is asked for the newest checkpoint once it can be.
func TestSlowWitness(t *testing.T) {
	l := newTree(t, origin, 20)
	fork := l.fork(t)
	a, slow := serve(t, "witness.example/a", false, l), serve(t, "witness.example/b", false, l)
	slow.accept(t, l.request(t, 0, 10))
	arrived, free := make(chan struct{}), make(chan struct{})
	var first sync.Once
	slow.instead(func(w http.ResponseWriter, r *http.Request) {
		first.Do(func() { close(arrived); <-free })
		slow.ServeHTTP(w, r)
	})
	client := clientOf(t, l, policyOf(1, a, slow))
	// The witness a knows nothing of the log's true past.
	var returned atomic.Bool
	_, err := client.Cosign(t.Context(), fork.checkpoint(t, 12), 12, func(old int64) (tlog.TreeProof, error) {
		if returned.Load() {
			t.Error("a proof is asked for after the call has returned")
		}
		return fork.prove(old, 12)
	})
	must(t, err)
	returned.Store(true)
	<-arrived
	for _, size := range []int64{13, 14} {
		cosigned, err := client.Cosign(t.Context(), fork.checkpoint(t, size), size, fork.prover(size))
		must(t, err)
		if got := cosigners(t, l, cosigned, a, slow); got != "a" {
			t.Errorf("cosigned by %q", got)
		}
	}
	// It is let go, and asked for evidence. The proof for the size that it tells was
	// not made before, so it is asked again by the next call, which finds the fork.
	close(free)
	client.Close()
	both := clientOf(t, l, policyOf(2, a, slow))
	_, err = both.Cosign(t.Context(), fork.checkpoint(t, 15), 15, fork.prover(15))
	if !errors.Is(err, witness.ErrForked) {
		t.Errorf("a fork that a slow witness knows of: %v", err)
	}
}

// TestLateFork: what a witness finds after the call has returned is told by the next.
func TestLateFork(t *testing.T) {
	l := newTree(t, origin, 20)
	a, slow := serve(t, "witness.example/a", false, l), serve(t, "witness.example/b", false, l)
	slow.accept(t, l.request(t, 0, 20)) // more than the log has now
	free := make(chan struct{})
	slow.instead(func(w http.ResponseWriter, r *http.Request) { <-free; slow.ServeHTTP(w, r) })
	client := clientOf(t, l, policyOf(1, a, slow))
	_, err := client.Cosign(t.Context(), l.checkpoint(t, 12), 12, l.prover(12))
	must(t, err)
	close(free)
	client.Close() // it has answered
	slow.instead(answers(500, "text/plain", "never again"))
	_, err = client.Cosign(t.Context(), l.checkpoint(t, 13), 13, l.prover(13))
	if !errors.Is(err, witness.ErrAhead) || !strings.Contains(err.Error(), "witness.example/b") {
		t.Errorf("the next call: %v", err)
	}
}

func TestTimeouts(t *testing.T) {
	l := newTree(t, origin, 20)
	a, stuck := serve(t, "witness.example/a", false, l), serve(t, "witness.example/b", false, l)
	free := make(chan struct{})
	t.Cleanup(func() { close(free) })
	stuck.instead(func(http.ResponseWriter, *http.Request) { <-free })
	client := clientOf(t, l, policyOf(2, a, stuck), func(cfg *witness.ClientConfig) { cfg.Timeout = 50 * time.Millisecond })
	_, err := client.Cosign(t.Context(), l.checkpoint(t, 20), 20, l.prover(20))
	if !errors.Is(err, witness.ErrNoQuorum) || !strings.Contains(err.Error(), "witness.example/b") {
		t.Errorf("its own timeout: %v", err)
	}
	client = clientOf(t, l, policyOf(2, a, stuck), func(cfg *witness.ClientConfig) { cfg.Timeout = time.Second })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client.Cosign(ctx, l.checkpoint(t, 20), 20, l.prover(20))
	if !errors.Is(err, witness.ErrNoQuorum) || !strings.Contains(err.Error(), "witness.example/b") {
		t.Errorf("the caller's: %v", err)
	}
}

func TestCosignRefuses(t *testing.T) {
	l, stranger := newTree(t, origin, 20), newTree(t, origin, 20)
	a := serve(t, "witness.example/a", false, l)
	client := clientOf(t, l, policyOf(1, a))
	for name, c := range map[string]struct {
		checkpoint []byte
		size       int64
	}{
		"another size":         {l.checkpoint(t, 20), 19},
		"signed by a stranger": {stranger.checkpoint(t, 20), 20},
		"no note":              {[]byte(l.text(t, 20)), 20},
	} {
		if _, err := client.Cosign(t.Context(), c.checkpoint, c.size, l.prover(c.size)); err == nil || a.calls.Load() != 0 {
			t.Errorf("%s: %v after %d calls", name, err, a.calls.Load())
		}
	}
	broken := errors.New("no keys now")
	client = clientOf(t, l, policyOf(1, a), func(cfg *witness.ClientConfig) {
		cfg.Keys = func(context.Context) ([]note.Verifier, error) { return nil, broken }
	})
	if _, err := client.Cosign(t.Context(), l.checkpoint(t, 20), 20, l.prover(20)); !errors.Is(err, broken) {
		t.Errorf("without keys: %v", err)
	}
	if _, err := client.Latest(t.Context(), origin); !errors.Is(err, broken) {
		t.Errorf("latest without keys: %v", err)
	}
	a.accept(t, l.request(t, 0, 9))
	client = clientOf(t, l, policyOf(1, a))
	_, err := client.Cosign(t.Context(), l.checkpoint(t, 20), 20, func(int64) (tlog.TreeProof, error) { return nil, broken })
	if !errors.Is(err, broken) || !errors.Is(err, witness.ErrNoQuorum) {
		t.Errorf("without a proof: %v", err)
	}
}

func TestLatest(t *testing.T) {
	l := newTree(t, origin, 20)
	a, b, c := serve(t, "witness.example/a", false, l), serve(t, "witness.example/b", false, l), serve(t, "witness.example/c", false, l)
	client := clientOf(t, l, policyOf(2, a, b, c))
	latest, err := client.Latest(t.Context(), origin)
	must(t, err)
	if len(latest) != 0 {
		t.Errorf("of a new log: %q", latest)
	}
	a.accept(t, l.request(t, 0, 9))
	b.accept(t, l.request(t, 0, 20))
	latest, err = client.Latest(t.Context(), origin)
	must(t, err)
	if len(latest) != 2 || cosigners(t, l, latest[0], a, b) != "a" || cosigners(t, l, latest[1], a, b) != "b" {
		t.Errorf("latest: %q", latest)
	}
	// Each kind of wrong answer is named, and keeps nothing of the others back.
	stranger, other := newTree(t, origin, 20), newTree(t, "other.example/log", 20)
	cosigned := func(signer *tree, text string) string {
		line, err := c.key.Cosign(text, c.now)
		must(t, err)
		return string(signer.sign(t, text)) + line
	}
	for name, shown := range map[string]http.HandlerFunc{
		"not signed by the log":     answers(200, "text/plain", cosigned(stranger, stranger.text(t, 20))),
		"of another log":            answers(200, "text/plain", cosigned(l, other.text(t, 20))),
		"not signed by the witness": answers(200, "text/plain", string(l.checkpoint(t, 20))),
		"not a note":                answers(200, "text/plain", "hello"),
		"internal":                  answers(500, "text/plain", "x"),
	} {
		c.instead(shown)
		latest, err = client.Latest(t.Context(), origin)
		if err == nil || !strings.Contains(err.Error(), "witness.example/c") || len(latest) != 2 {
			t.Errorf("%s: %q, %v", name, latest, err)
		}
	}
}

// TestUpAndDown: the log says once that a witness fails, and once that it is back.
func TestUpAndDown(t *testing.T) {
	l := newTree(t, origin, 20)
	a := serve(t, "witness.example/a", false, l)
	var logged bytes.Buffer
	client := clientOf(t, l, policyOf(1, a), func(cfg *witness.ClientConfig) { cfg.Log = slog.New(slog.NewTextHandler(&logged, nil)) })
	for size := int64(1); size < 10; size++ {
		a.instead(nil)
		if size >= 3 && size < 6 {
			a.instead(answers(500, "text/plain", "x"))
		}
		_, _ = client.Cosign(t.Context(), l.checkpoint(t, size), size, l.prover(size))
	}
	client.Close()
	if strings.Count(logged.String(), "does not cosign") != 1 || strings.Count(logged.String(), "cosigns again") != 1 {
		t.Errorf("logged:\n%s", &logged)
	}
}

func TestNewClientRefuses(t *testing.T) {
	l := newTree(t, origin, 1)
	a := serve(t, "witness.example/a", false, l)
	p, err := witness.ParsePolicy([]byte(policyOf(1, a)))
	must(t, err)
	whole := witness.ClientConfig{Policy: p, Timeout: time.Second, Log: discard(), Keys: func(context.Context) ([]note.Verifier, error) { return nil, nil }}
	for name, change := range map[string]func(*witness.ClientConfig){
		"no policy":  func(c *witness.ClientConfig) { c.Policy = witness.Policy{} },
		"no keys":    func(c *witness.ClientConfig) { c.Keys = nil },
		"no timeout": func(c *witness.ClientConfig) { c.Timeout = 0 },
		"no log":     func(c *witness.ClientConfig) { c.Log = nil },
	} {
		cfg := whole
		change(&cfg)
		if _, err := witness.NewClient(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
