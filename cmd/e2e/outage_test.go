package e2e

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/google/uuid"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/cardvault/cardvault/crypto/transit/transittest"
	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

// TestTransitOutage takes transit away from a serving vault in three ways. Keys in memory serve on, for their time;
// then nothing is opened or sealed until transit is back, and then everything is, without a restart (P11).
func TestTransitOutage(t *testing.T) {
	t.Parallel()
	type act = func(*transittest.Server, testing.TB)
	for name, outage := range map[string]struct{ begin, end act }{
		"sealed":  {(*transittest.Server).Seal, (*transittest.Server).Unseal},
		"stopped": {(*transittest.Server).Stop, (*transittest.Server).Restart},
		"paused":  {(*transittest.Server).Pause, (*transittest.Server).Resume},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newMigratedSite(t)
			r := s.serve(t, keepKeysFor("10s"))
			r.as(t, "security").createRange(t, "debit", "90000000")
			issuer, payments := r.as(t, "issuer"), r.as(t, "payments")
			token := issuer.issue(t).GetToken()
			pan := payments.mustReveal(t, token)

			outage.begin(s.transit, t)
			if err := payments.opensTo(t.Context(), token, pan); err != nil {
				t.Error("with keys in memory: ", err)
			}
			until(t, "detokenize", "KEYS_UNAVAILABLE", func() error { return payments.opensTo(t.Context(), token, pan) })
			until(t, "issue", "KEYS_UNAVAILABLE", func() error {
				_, err := issuer.tryIssue(t, "debit")
				return err
			})
			s.cli(t, r, "support", "detokenize", token, "--purpose", "support", "--view", "last-four").
				must(t, exitUnavailable).says(t, "KEYS_UNAVAILABLE", "the operators check transit")

			outage.end(s.transit, t)
			eventually(t, "detokenize again", func() error { return payments.opensTo(t.Context(), token, pan) })
			eventually(t, "issue again", func() error {
				_, err := issuer.tryIssue(t, "debit")
				return err
			})
			r.stop(t)
		})
	}
}

// until calls until it fails with the wanted reason. Any other failure on the way is one of the test.
func until(t testing.TB, what, wanted string, call func() error) {
	t.Helper()
	eventually(t, what+" fails with "+wanted, func() error {
		err := call()
		switch got := reason(err); {
		case got == wanted:
			return nil
		case err != nil:
			t.Fatalf("%s: %v", what, err)
		}
		return errors.New("it still serves")
	})
}

// TestTransitDownAtStart starts a server before its transit: it says so, tries again, and comes up with it.
func TestTransitDownAtStart(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	config := s.config(t)
	s.transit.Stop(t)
	waiting, stopped := s.launch(t, config), s.launch(t, config)
	const complaint = `"msg":"transit does not answer; not serving until it does"`
	for _, r := range []*replica{waiting, stopped} {
		r.awaitLog(t, complaint, 1)
		r.awaitLog(t, complaint, 2)
	}
	// One that is told to stop while it waits does so.
	stopped.signal(t, syscall.SIGTERM)
	if code := stopped.code(t); code != exitUnavailable {
		t.Errorf("exit code %d, want %d", code, exitUnavailable)
	}
	stopped.awaitLog(t, "stopped before transit answered (INTERRUPTED)", 1)

	s.transit.Restart(t)
	waiting.serving(t)
	waiting.as(t, "security").createRange(t, "debit", "90000000")
	waiting.as(t, "issuer").issue(t)
	waiting.stop(t)
}

// TestPostgreSQLOutage stops and crashes the database under a serving vault. Nothing leaves meanwhile, since nothing
// can be recorded (P3); what was acknowledged before is there after, and a repeated request happens once (P1).
func TestPostgreSQLOutage(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Start(t)
	s := newSiteOn(t, databaseOn(t, cluster.URL()))
	s.migrate(t)
	r := s.serve(t)
	r.as(t, "security").createRange(t, "debit", "90000000")
	issuer, payments := r.as(t, "issuer"), r.as(t, "payments")
	pans := map[string]string{}
	for name, end := range map[string]func(testing.TB){"stopped": cluster.Stop, "crashed": cluster.Kill} {
		card := issuer.issue(t)
		pans[card.GetToken()] = payments.mustReveal(t, card.GetToken())
		request := &cardvaultv1.IssueCardRequest{RequestId: uuid.NewString(), BinRange: "debit"}

		end(t)
		pan, err := payments.reveal(t.Context(), card.GetToken())
		if pan != "" {
			t.Errorf("%s: a PAN left without an audit entry", name)
		}
		want(t, name+": detokenize", err, "STORE_UNAVAILABLE")
		_, err = issuer.cards.IssueCard(t.Context(), request)
		want(t, name+": issue", err, "STORE_UNAVAILABLE")
		_, err = r.as(t, "support").reveal(t.Context(), card.GetToken())
		want(t, name+": a refusal, which is recorded too", err, "STORE_UNAVAILABLE")
		eventually(t, "health says so", func() error { return r.health(t, healthpb.HealthCheckResponse_NOT_SERVING) })

		cluster.Restart(t)
		eventually(t, "health says that it is back", func() error { return r.health(t, healthpb.HealthCheckResponse_SERVING) })
		for token, pan := range pans {
			if err := payments.opensTo(t.Context(), token, pan); err != nil {
				t.Errorf("%s: a card of before: %v", name, err)
			}
		}
		first, err := issuer.cards.IssueCard(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		again, err := issuer.cards.IssueCard(t.Context(), request)
		if err != nil || again.GetToken() != first.GetToken() {
			t.Errorf("%s: the repeated request: %v", name, err)
		}
	}
	r.stop(t)
	if chains := s.chains(t); len(chains) != 1 {
		t.Errorf("%d chains of one run", len(chains))
	}
}

// TestPostgreSQLDownAtStart has a server refuse to start without its database.
func TestPostgreSQLDownAtStart(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	s.write(t, "nowhere-url", "postgres://cardvault_app@/nowhere?host="+s.dir)
	s.run(t, "serve", "--config", s.config(t, storedAt("url_file: "+s.path("nowhere-url")))).must(t, exitUnavailable).
		says(t, "store: ", "check that it runs and can be reached")
}

// health returns nil where every service has this status.
func (r *replica) health(t testing.TB, wanted healthpb.HealthCheckResponse_ServingStatus) error {
	t.Helper()
	health := healthpb.NewHealthClient(r.as(t, "support").conn)
	for _, service := range []string{
		"", "cardvault.v1.CardService", "cardvault.v1.TokenService", "cardvault.v1.BinRangeService", "cardvault.v1.AuditService",
	} {
		got, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil {
			return err
		}
		if got.GetStatus() != wanted {
			return fmt.Errorf("%q is %s", service, got.GetStatus())
		}
	}
	return nil
}
