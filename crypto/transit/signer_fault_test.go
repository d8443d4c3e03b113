package transit_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardvault/cardvault/crypto/checkpoint/signertest"
	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/transit"
)

// Whatever keeps the server from answering is unavailability, and signing goes on
// when it is over.
func TestSignerOutages(t *testing.T) {
	t.Parallel() // it mostly waits
	server := startWithBothKeys(t)
	auth := appRole(t, server, leastPrivilege(t))
	outages := []struct {
		name       string
		begin, end func(testing.TB)
		timeouts   transit.Timeouts
	}{
		{"sealed", server.Seal, server.Unseal, generous},
		{"stopped", server.Stop, server.Restart, generous},
		{"paused", server.Pause, server.Resume, transit.Timeouts{Call: time.Second, Attempt: 300 * time.Millisecond}},
	}
	text := signertest.Text(origin, 7)
	for _, outage := range outages {
		t.Run(outage.name, func(t *testing.T) {
			s, clock := signer(t, open(t, server, auth, func(c *transit.Config) { c.Timeouts = outage.timeouts }))
			eventually(t, "the server answers in time", func() bool { _, err := s.Sign(t.Context(), text); return err == nil })
			outage.begin(t)
			keysOf(t, s) // known for a while
			_, err := s.Sign(t.Context(), text)
			mustMean(t, "sign", err, keyring.ErrUnavailable)
			clock.advance(time.Minute)
			_, err = s.Keys(t.Context())
			mustMean(t, "keys", err, keyring.ErrUnavailable)
			mustMean(t, "check", s.Check(t.Context()), keyring.ErrUnavailable)
			outage.end(t)
			eventually(t, "all is well again", func() bool {
				_, err := s.Sign(t.Context(), text)
				if err != nil {
					mustMean(t, "recovery", err, keyring.ErrUnavailable)
				}
				return err == nil
			})
			signedBy(t, sign(t, s), keysOf(t, s)...)
		})
	}
}

// A token that is revoked costs a login, and no checkpoint.
func TestSignerLogsInAgain(t *testing.T) {
	server := startWithBothKeys(t)
	s, _ := signer(t, open(t, server, appRole(t, server, leastPrivilege(t))))
	sign(t, s)
	revoke(t, server, "approle")
	signedBy(t, sign(t, s), keysOf(t, s)...)
}

func TestSignerEndsWithTheKEK(t *testing.T) {
	server := startWithBothKeys(t)
	kek := open(t, server, root(t, server))
	s, _ := signer(t, kek)
	kek.Close()
	_, err := s.Sign(t.Context(), signertest.Text(origin, 7))
	mustMean(t, "after Close", err, keyring.ErrUnavailable)
}

func TestSignerKeepsTheCallersDeadline(t *testing.T) {
	server := startWithBothKeys(t)
	s, _ := signer(t, open(t, server, root(t, server)))
	sign(t, s)
	server.Pause(t)
	defer server.Resume(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Sign(ctx, signertest.Text(origin, 7)); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, keyring.ErrUnavailable) {
		t.Error(err)
	}
}

// signing is a transit engine of one Ed25519 key, for what the real one cannot be
// brought to answer.
type signing struct {
	private ed25519.PrivateKey
	edit    func(signature string) string // nil: none
	signed  atomic.Int32
}

func newSigning(t *testing.T) *signing {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &signing{private: private}
}

// key is what transit says of the key.
func (s *signing) key() string {
	public := base64.StdEncoding.EncodeToString(s.private[32:])
	return fmt.Sprintf(`{"data":{"type":"ed25519","derived":false,"exportable":false,"allow_plaintext_backup":false,"deletion_allowed":false,`+
		`"latest_version":1,"min_encryption_version":0,"keys":{"1":{"creation_time":"2025-01-02T03:04:05.678Z","name":"ed25519","public_key":%q}}}}`, public)
}

func (s *signing) serve(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "/keys/") {
		answer(200, s.key())(w, r)
		return
	}
	s.signed.Add(1)
	var request struct{ Input []byte }
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		answer(400, `{"errors":["no JSON"]}`)(w, r)
		return
	}
	signature := "vault:v1:" + base64.StdEncoding.EncodeToString(ed25519.Sign(s.private, request.Input))
	if s.edit != nil {
		signature = s.edit(signature)
	}
	answer(200, fmt.Sprintf(`{"data":{"signature":%q}}`, signature))(w, r)
}

// What does not verify is no signature, whoever says so, and leaves nobody's hands.
func TestSignerTriesItsSignatures(t *testing.T) {
	engine := newSigning(t)
	s, _ := signer(t, standIn(t, engine.serve))
	signedBy(t, sign(t, s), keysOf(t, s)...) // the stand-in is sound
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := newSigning(t)
	for name, edit := range map[string]func(string) string{
		"another key": func(string) string {
			return "vault:v1:" + base64.StdEncoding.EncodeToString(ed25519.Sign(other.private, []byte(signertest.Text(origin, 7))))
		},
		"another version": func(s string) string { return strings.Replace(s, "v1", "v2", 1) },
		"no version":      func(s string) string { return strings.TrimPrefix(s, "vault:v1:") },
		"not base64":      func(s string) string { return s[:len(s)-1] + "!" },
		"cut":             func(s string) string { return s[:len(s)-8] },
		"nothing":         func(string) string { return "" },
	} {
		engine.edit = edit
		signed, err := s.Sign(t.Context(), signertest.Text(origin, 7))
		mustMean(t, name, err, keyring.ErrUnavailable)
		if signed != nil {
			t.Errorf("%s: %q", name, signed)
		}
		mustMean(t, name+": check", s.Check(t.Context()), keyring.ErrUnavailable)
	}
}

// Nothing but a checkpoint of the log is sent to be signed.
func TestSignerAsksForCheckpointsAlone(t *testing.T) {
	engine := newSigning(t)
	s, _ := signer(t, standIn(t, engine.serve))
	for _, text := range []string{"hello\n", signertest.Text(origin+"2", 7), signertest.Text(origin, 7) + "more\n"} {
		_, err := s.Sign(t.Context(), text)
		mustMean(t, text, err, keyring.ErrDenied)
	}
	if asked := engine.signed.Load(); asked != 0 {
		t.Errorf("asked for %d signatures", asked)
	}
}

// A key of which the server does not say what it must is not used.
func TestSignerReadsKeysStrictly(t *testing.T) {
	engine := newSigning(t)
	good := engine.key()
	for name, swap := range map[string][2]string{
		"another type":      {`"type":"ed25519"`, `"type":"ecdsa-p256"`},
		"no versions":       {`"keys":{"1":{`, `"other":{"1":{`},
		"versions unsaid":   {`{"1":{"creation_time"`, `{},"other":{"1":{"creation_time"`},
		"version 0":         {`{"1":{`, `{"0":{`},
		"a worded version":  {`{"1":{`, `{"one":{`},
		"a later one":       {`"latest_version":1`, `"latest_version":2`},
		"latest unsaid":     {`"latest_version":1,`, ``},
		"never made":        {`"creation_time":"2025-01-02T03:04:05.678Z",`, ``},
		"made at no time":   {`2025-01-02T`, `yesterday`},
		"no public key":     {`"public_key":"`, `"other":"`},
		"a long public key": {`"public_key":"`, `"public_key":"AAAA`},
	} {
		said := strings.Replace(good, swap[0], swap[1], 1)
		if said == good {
			t.Fatalf("%s: nothing changed", name)
		}
		s, _ := signer(t, standIn(t, answer(200, said)))
		_, err := s.Sign(t.Context(), signertest.Text(origin, 7))
		mustMean(t, name, err, keyring.ErrUnavailable)
		_, err = s.Keys(t.Context())
		mustMean(t, name, err, keyring.ErrUnavailable)
		if err := s.Check(t.Context()); err == nil {
			t.Errorf("%s: Check passes", name)
		}
	}
	for _, property := range []string{`"derived":false,`, `"exportable":false,`, `"allow_plaintext_backup":false,`, `"deletion_allowed":false,`} {
		s, _ := signer(t, standIn(t, answer(200, strings.Replace(good, property, "", 1))))
		if err := s.Check(t.Context()); !errors.Is(err, transit.ErrWeakKey) {
			t.Errorf("without %s: %v", property, err)
		}
	}
}
