package transit_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/crypto/checkpoint/signertest"
	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/transit"
	"github.com/cardvault/cardvault/crypto/transit/transittest"
)

const origin = "cards.example.com/audit"

// clock is the true time and what a test lets pass on top of it.
type clock struct{ passed atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.passed.Load())) }
func (c *clock) advance(d time.Duration) { c.passed.Add(int64(d)) }

// startWithBothKeys starts a server with the keys of a vault.
func startWithBothKeys(t *testing.T) *transittest.Server {
	t.Helper()
	server := startWithKey(t)
	server.CreateSigningKey(t, "transit", "audit")
	return server
}

// signer returns a signer with the key "audit", changed by edits, and its clock.
func signer(t *testing.T, kek *transit.KEK, edits ...func(*transit.SignerConfig)) (*transit.Signer, *clock) {
	t.Helper()
	c := new(clock)
	cfg := transit.SignerConfig{Key: "audit", Origin: origin, Overlap: time.Hour, Clock: c.now}
	for _, edit := range edits {
		edit(&cfg)
	}
	s, err := kek.Signer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func rotate(t *testing.T, server *transittest.Server) {
	t.Helper()
	write(t, server, "transit/keys/audit/rotate", nil)
}

// keysOf returns the verifier keys as they are handed out.
func keysOf(t *testing.T, s *transit.Signer) []string {
	t.Helper()
	keys, err := s.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, key := range keys {
		texts = append(texts, fmt.Sprint(key))
	}
	return texts
}

func sign(t *testing.T, s *transit.Signer) []byte {
	t.Helper()
	signed, err := s.Sign(t.Context(), signertest.Text(origin, 7))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// signedBy fails the test unless these keys signed, in their order, and no others.
func signedBy(t *testing.T, signed []byte, keys ...string) {
	t.Helper()
	if lines := strings.Count(string(signed), "\n— "); lines != len(keys) {
		t.Errorf("%d signature lines, want %d", lines, len(keys))
	}
	var hashes []uint32
	for _, key := range keys {
		verifier, err := note.NewVerifier(key)
		if err != nil {
			t.Fatal(err)
		}
		// Each alone is enough for whoever knows no other.
		n, err := note.Open(signed, note.VerifierList(verifier))
		if err != nil || n.Text != signertest.Text(origin, 7) {
			t.Fatalf("%s: %v", key, err)
		}
		hashes = append(hashes, n.Sigs[0].Hash)
		if len(n.UnverifiedSigs) != len(keys)-1 {
			t.Errorf("%s: %d other lines", key, len(n.UnverifiedSigs))
		}
	}
	for i, line := range strings.Split(strings.TrimSpace(string(signed)), "\n")[4:] {
		if verifier, _ := note.NewVerifier(keys[i]); verifier.KeyHash() != hashes[i] || !strings.HasPrefix(line, "— "+origin+" ") {
			t.Errorf("line %d: %s", i, line)
		}
	}
}

func TestSignerContract(t *testing.T) {
	server := startWithBothKeys(t)
	s, _ := signer(t, open(t, server, appRole(t, server, leastPrivilege(t))))
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	signertest.Run(t, s, origin)
}

// While one version replaces another both sign, so that verifiers with the old key
// and those with the new accept the same checkpoint. Then the old one signs no more,
// and what it signed still verifies.
func TestRotationOfTheSigner(t *testing.T) {
	server := startWithBothKeys(t)
	s, clock := signer(t, open(t, server, root(t, server)))
	first := keysOf(t, s)
	before := sign(t, s)
	signedBy(t, before, first...)

	rotate(t, server)
	signedBy(t, sign(t, s), first...) // not noticed yet, and good for all who know it
	if fresh, err := s.FreshKeys(t.Context()); err != nil || len(fresh) != 2 || fmt.Sprint(fresh[1]) != first[0] {
		t.Errorf("fresh keys %v, %v", fresh, err)
	}
	clock.advance(15 * time.Second)
	both := keysOf(t, s)
	if len(both) != 2 || both[1] != first[0] || both[0] == first[0] {
		t.Fatalf("keys %q after %q", both, first)
	}
	signedBy(t, sign(t, s), both...)

	clock.advance(time.Hour)
	signedBy(t, sign(t, s), both[0])
	if !slices.Equal(keysOf(t, s), both) {
		t.Error("the old version is not known any more")
	}
	signedBy(t, before, first...)

	// Transit forgets it when the security team says so.
	write(t, server, "transit/keys/audit/config", map[string]any{"min_decryption_version": 2})
	clock.advance(15 * time.Second)
	if keys := keysOf(t, s); !slices.Equal(keys, both[:1]) {
		t.Errorf("keys %q", keys)
	}
}

// Of many versions, only the newest and the one before sign.
func TestTwoLinesAtMost(t *testing.T) {
	server := startWithBothKeys(t)
	for range 11 {
		rotate(t, server)
	}
	s, _ := signer(t, open(t, server, root(t, server)), func(c *transit.SignerConfig) { c.Overlap = 0 }) // a week
	keys := keysOf(t, s)
	if len(keys) != 12 {
		t.Fatalf("%d keys", len(keys))
	}
	signedBy(t, sign(t, s), keys[:2]...)
}

// A version that may not sign any more, as after a break-in, is left at once, by the
// same call.
func TestRetiredVersionSignsNoMore(t *testing.T) {
	server := startWithBothKeys(t)
	s, _ := signer(t, open(t, server, root(t, server)))
	first := keysOf(t, s)
	rotate(t, server)
	write(t, server, "transit/keys/audit/config", map[string]any{"min_encryption_version": 2})
	signed := sign(t, s)
	keys := keysOf(t, s)
	if len(keys) != 2 || keys[1] != first[0] {
		t.Fatalf("keys %q after %q", keys, first)
	}
	signedBy(t, signed, keys[0])
}

// So is one that transit archives.
func TestArchivedVersionSignsNoMore(t *testing.T) {
	server := startWithBothKeys(t)
	rotate(t, server)
	s, _ := signer(t, open(t, server, root(t, server)))
	both := keysOf(t, s)
	signedBy(t, sign(t, s), both...)
	write(t, server, "transit/keys/audit/config", map[string]any{"min_decryption_version": 2, "min_encryption_version": 2})
	signedBy(t, sign(t, s), both[0])
	if keys := keysOf(t, s); !slices.Equal(keys, both[:1]) {
		t.Errorf("keys %q", keys)
	}
}

// Another key under the same name is a new key, not a version.
func TestReplacedKeyIsNoticed(t *testing.T) {
	server := startWithBothKeys(t)
	s, _ := signer(t, open(t, server, root(t, server)))
	first := keysOf(t, s)
	write(t, server, "transit/keys/audit/config", map[string]any{"deletion_allowed": true})
	if _, err := server.Client(t).Logical().DeleteWithContext(t.Context(), "transit/keys/audit"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Sign(t.Context(), signertest.Text(origin, 7))
	mustMean(t, "no key", err, keyring.ErrDenied)
	server.CreateSigningKey(t, "transit", "audit")
	signed := sign(t, s)
	keys := keysOf(t, s)
	if len(keys) != 1 || keys[0] == first[0] {
		t.Fatalf("keys %q after %q", keys, first)
	}
	signedBy(t, signed, keys...)
}

// The key is looked at once in a while, not for each checkpoint.
func TestKeysAreReadOnceInAWhile(t *testing.T) {
	server := startWithBothKeys(t)
	kek := open(t, server, appRole(t, server, leastPrivilege(t)))
	s, clock := signer(t, kek)
	made := requests(t, server, "transit/keys/audit") // has the same path
	for range 5 {
		sign(t, s)
		keysOf(t, s)
	}
	if reads := requests(t, server, "transit/keys/audit") - made; reads != 1 {
		t.Errorf("%d reads of the key", reads)
	}
	clock.advance(15 * time.Second)
	sign(t, s)
	clock.advance(-time.Hour) // a clock that is set back proves nothing
	sign(t, s)
	if reads := requests(t, server, "transit/keys/audit") - made; reads != 3 {
		t.Errorf("%d reads of the key", reads)
	}
	roundTrip(t, kek)
	if logins := requests(t, server, "auth/approle/login"); logins != 1 {
		t.Errorf("%d logins by a KEK and its signer", logins)
	}
}

func TestSignersTogether(t *testing.T) {
	server := startWithBothKeys(t)
	s, clock := signer(t, open(t, server, root(t, server)))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				clock.advance(4 * time.Second)
				if _, err := s.Sign(t.Context(), signertest.Text(origin, 7)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	rotate(t, server)
	wg.Wait()
	signedBy(t, sign(t, s), keysOf(t, s)...)
}

func TestSignerConfig(t *testing.T) {
	server := startWithKey(t)
	kek := open(t, server, root(t, server))
	good := transit.SignerConfig{Key: "audit", Origin: origin, Clock: time.Now}
	if _, err := kek.Signer(good); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*transit.SignerConfig){
		"key":     func(c *transit.SignerConfig) { c.Key = "" },
		"name":    func(c *transit.SignerConfig) { c.Key = "a/b" },
		"origin":  func(c *transit.SignerConfig) { c.Origin = "" },
		"white":   func(c *transit.SignerConfig) { c.Origin = "a b" },
		"clock":   func(c *transit.SignerConfig) { c.Clock = nil },
		"overlap": func(c *transit.SignerConfig) { c.Overlap = -1 },
	} {
		cfg := good
		edit(&cfg)
		if s, err := kek.Signer(cfg); err == nil || s != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Sign with a key that cannot: the server's no.
func TestSignerIsDenied(t *testing.T) {
	server := startWithBothKeys(t)
	policy := strings.Replace(leastPrivilege(t), `"transit/sign/audit"`, `"transit/none"`, 1)
	s, _ := signer(t, open(t, server, appRole(t, server, policy)))
	if _, err := s.Sign(t.Context(), signertest.Text(origin, 1)); !errors.Is(err, keyring.ErrDenied) {
		t.Error(err)
	}
}
