package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"
)

// TestKeysAreListed reads the inventory of two tenants over PostgreSQL and transit, before and after transit rotated the
// KEK: as a table, as a document and as metrics.
func TestKeysAreListed(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	r := s.serve(t)
	r.as(t, "security").createRange(t, "debit", "95000000")
	issuer := r.as(t, "issuer")
	s.saw(r.as(t, "payments").mustReveal(t, issuer.issue(t).GetToken()))
	issuer.tokenize(t, wellKnown[0], nil)
	if err := s.rotate(t, "cardvault"); err != nil {
		t.Fatal(err)
	}
	r.as(t, foreign+"-issuer").tokenize(t, wellKnown[1], nil)

	listed := s.cli(t, r, "staff-security", "key", "list", "--rows", "--document", s.path("keys.md"), "--output", "json").must(t, exitOK)
	var list struct {
		Keys []struct {
			Tenant, Purpose, BinRange, State, KekKind, KekVersion, Rows string
		}
		KekVersions []struct{ Version, Keys string }
	}
	if err := json.Unmarshal([]byte(listed.stdout), &list); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, k := range list.Keys {
		got[k.Tenant+" "+strings.TrimPrefix(k.Purpose, "PURPOSE_")+" "+k.BinRange] = fmt.Sprint(k.KekKind, " ", k.KekVersion, " ", k.Rows, " ", k.State)
	}
	want := map[string]string{
		tenant + " DATA ":         "transit 1 2 STATE_ACTIVE",
		tenant + " FINGERPRINT ":  "transit 1 2 STATE_ACTIVE",
		tenant + " RANGE debit":   "transit 1 1 STATE_ACTIVE",
		foreign + " DATA ":        "transit 2 1 STATE_ACTIVE",
		foreign + " FINGERPRINT ": "transit 2 1 STATE_ACTIVE",
	}
	if !maps.Equal(got, want) {
		t.Errorf("listed %v\nwant %v", got, want)
	}
	if kek := fmt.Sprint(list.KekVersions); kek != "[{1 3} {2 2}]" {
		t.Errorf("KEK versions and what they wrap: %s", kek)
	}
	text, err := os.ReadFile(s.path("keys.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"HashiCorp Vault / OpenBao transit key", "| transit | 2 | 2 | newest that wraps a key |", "| transit | 1 | 3 | superseded |"} {
		if !strings.Contains(string(text), part) {
			t.Errorf("the document lacks %q", part)
		}
	}
	// Transit down keeps nobody from seeing which keys there are.
	s.transit.Stop(t)
	s.cli(t, r, "staff-security", "key", "list").must(t, exitOK)
	s.cli(t, r, "security", "key", "list").must(t, exitDenied)
	s.cli(t, r, "staff-auditor", "key", "list").must(t, exitDenied)

	// A replica counts when it starts.
	s.transit.Restart(t)
	fresh := s.serve(t)
	const counted = `cardvault_keys{purpose="data",state="active"} 2`
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		_, metrics := fresh.get(t, "/metrics")
		if strings.Contains(metrics, counted) {
			break
		}
		if time.Since(begin) > time.Minute {
			t.Fatalf("never %s in\n%s", counted, metrics)
		}
	}
}

// rotate gives a transit key its next version.
func (s *site) rotate(t testing.TB, key string) error {
	t.Helper()
	_, err := s.transit.Client(t).Logical().WriteWithContext(t.Context(), "transit/keys/"+key+"/rotate", nil)
	return err
}
