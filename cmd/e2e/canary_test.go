package e2e

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/cardvault/cardvault/crypto/devca"
	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

// TestCanary takes well-known PANs through everything that a vault does, well and badly, and then searches everything
// that this left anywhere for them, in every encoding (P4). In the end it plants them itself, to show that they would
// have been found.
func TestCanary(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Start(t)
	s := newSiteOn(t, databaseOn(t, cluster.URL()))
	// What an administrator turns on to find a fault: every statement, with all values.
	sqlAt(t, cluster.URL(), "ALTER SYSTEM SET log_statement = 'all'")
	sqlAt(t, cluster.URL(), "ALTER SYSTEM SET log_parameter_max_length_on_error = -1")
	sqlAt(t, cluster.URL(), "SELECT pg_reload_conf()")
	s.migrate(t)
	c := &canary{site: s, cluster: cluster, scratch: t.TempDir()}
	c.r = c.serve(t)

	c.work(t)
	c.refuse(t)
	c.useCommands(t)
	c.importCards(t)
	c.runDev(t)
	c.loseTransit(t)
	c.losePostgreSQL(t)
	c.edit(t)
	c.dieWithAStackTrace(t)
	c.crash(t)
	c.collectPANs(t)
	c.searchAll(t)
	c.plant(t)
}

const (
	issuedCards   = 200
	importedCards = 6000
)

// canary is an installation that is searched when it has seen everything.
type canary struct {
	*site
	cluster *pgtest.Cluster
	r       *replica
	// scratch is where commands and servers run, and put what they keep for a while. What a story gives them is not in
	// it.
	scratch string
	card    *cardvaultv1.IssueCardResponse
	metrics []string
}

func (c *canary) serve(t *testing.T) *replica {
	t.Helper()
	return c.site.serve(t, keepKeysFor("10s"), logAt("debug"))
}

// scrape keeps what the metrics say now.
func (c *canary) scrape(t *testing.T) {
	t.Helper()
	_, text := c.r.get(t, "/metrics")
	c.metrics = append(c.metrics, text)
}

// work does what a vault is for.
func (c *canary) work(t *testing.T) {
	t.Helper()
	c.r.as(t, "security").createRange(t, "debit", "90000000")
	issuer, payments := c.r.as(t, "issuer"), c.r.as(t, "payments")
	c.card = issuer.issue(t)
	batch := &cardvaultv1.BatchIssueCardsRequest{}
	for range issuedCards {
		batch.Requests = append(batch.Requests, &cardvaultv1.IssueCardRequest{RequestId: uuid.NewString(), BinRange: "debit"})
	}
	if _, err := issuer.cards.BatchIssueCards(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for _, pan := range wellKnown {
		plain := issuer.tokenize(t, pan, nil)
		digits := issuer.tokenize(t, pan, &cardvaultv1.TokenOptions{
			Format: cardvaultv1.TokenFormat_TOKEN_FORMAT_DIGITS, KeepLastFour: true, Principals: []string{"payments"},
		})
		for _, token := range []string{plain.GetToken(), digits.GetToken()} {
			if err := payments.opensTo(t.Context(), token, pan); err != nil {
				t.Error(err)
			}
			c.cli(t, c.r, "payments", "detokenize", token, "--purpose", "settlement", "--view", "full", "-o", "json").must(t, exitOK)
		}
	}
	c.live(t, issuer, luhn(t, "411111111111222"))
	c.scrape(t)
}

// live takes a card through its life.
func (c *canary) live(t *testing.T, issuer *client, pan string) {
	t.Helper()
	card := issuer.tokenize(t, pan, nil)
	id := card.GetCard().GetId()
	for _, step := range []func(ctx context.Context) error{
		func(ctx context.Context) error {
			_, err := issuer.cards.SuspendCard(ctx, &cardvaultv1.SuspendCardRequest{RequestId: uuid.NewString(), Id: id})
			return err
		},
		func(ctx context.Context) error {
			_, err := issuer.cards.ResumeCard(ctx, &cardvaultv1.ResumeCardRequest{RequestId: uuid.NewString(), Id: id})
			return err
		},
		func(ctx context.Context) error {
			_, err := issuer.cards.RenewCard(ctx, &cardvaultv1.RenewCardRequest{RequestId: uuid.NewString(), Id: id, Expiry: &cardvaultv1.Expiry{Year: 2050, Month: 1}})
			return err
		},
		func(ctx context.Context) error {
			_, err := issuer.cards.DeleteCard(ctx, &cardvaultv1.DeleteCardRequest{RequestId: uuid.NewString(), Id: id})
			return err
		},
	} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	issuer.tokenize(t, pan, nil) // over its tombstone
}

// refuse sends what must not be taken, to every port.
func (c *canary) refuse(t *testing.T) {
	t.Helper()
	pan := wellKnown[0]
	c.saw(mistyped(pan))
	sendHostile(t, c.r, c.card, pan)

	// Names that a stranger chooses: of the server that it wants, and its own.
	named := c.tls(t, "payments")
	named.ServerName = pan + ".example.com"
	_, _ = c.r.greet(t, named)
	for name, uri := range map[string]string{
		"pan-as-name":   spiffe(tenant, pan),
		"pan-as-tenant": spiffe(pan, "issuer"),
		"pan-as-path":   "spiffe://" + trustDomain + "/" + pan,
	} {
		c.certify(t, name, devca.Template{URIs: []string{uri}})
		client := c.r.as(t, name)
		if _, err := client.cards.GetCard(t.Context(), &cardvaultv1.GetCardRequest{Id: c.card.GetCard().GetId()}); err == nil {
			t.Errorf("%s: served", name)
		}
		for _, file := range []string{".pem", ".key"} {
			if err := os.Remove(c.path(name + file)); err != nil {
				t.Error(err)
			}
		}
	}
	c.speakNoTLS(t, pan)
	if status, _ := c.r.get(t, "/"+pan+"?card="+pan); status != 404 {
		t.Errorf("the metrics port answers %d", status)
	}
	c.scrape(t)
}

// speakNoTLS sends a PAN in clear.
func (c *canary) speakNoTLS(t *testing.T, pan string) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", c.r.addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST /cards HTTP/1.1\r\nHost: "+pan+"\r\n\r\npan="+pan+"\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := hangsUp(tls.Client(conn, &tls.Config{ServerName: pan, MinVersion: tls.VersionTLS13})); err != nil {
		t.Error(err)
	}
	_ = conn.Close()
}

// useCommands makes the mistakes that people make at a terminal.
func (c *canary) useCommands(t *testing.T) {
	t.Helper()
	pan := wellKnown[0]
	id := c.card.GetCard().GetId()
	for _, args := range [][]string{
		{"card", "tokenize", pan},
		{"card", "tokenize", "--expiry", pan},
		{"card", "get", pan},
		{"card", "get", "card-" + pan},
		{"card", "list", "--page-token", pan},
		{"card", "issue", "--bin", "range-" + pan},
		{"card", "issue", "--bin", "debit", "--request-id", pan},
		{"card", pan},
		{pan},
		{"--" + pan},
		{"token", "create", id, "--principal", "name-" + pan},
		{"token", "revoke", "x" + pan},
		{"detokenize", pan, "--purpose", "settlement", "--view", "last-four"},
		{"detokenize", ";" + pan + "=30121010000000000000?", "--purpose", "settlement"},
		{"detokenize", c.card.GetToken(), "--purpose", "p" + pan, "--view", "masked"},
		{"detokenize", c.card.GetToken(), "--view", "v" + pan},
		{"bin", "create", "debit-" + pan, "--prefix", "96000000"},
		{"bin", "create", "debit-2", "--prefix", "x" + pan},
		{"bin", "create", "debit-2", "--prefix", "96000000", "--reserve", "x" + pan},
		{"audit", "list", "--since", "x" + pan},
		{"card", "get", id, "--addr", "x" + pan + ":1", "--timeout", "1s"},
		{"card", "get", id, "--output", "x" + pan},
		{"policy", "check", c.path("policy.cedar"), "--as-principal", "acme/x" + pan, "--action", "x" + pan},
	} {
		for _, principal := range []string{"issuer", "payments"} {
			// The form comes first, so that one that is asked for after it counts.
			for _, form := range []string{"--output=table", "--output=json"} {
				args := slices.Concat(args[:1], []string{form}, args[1:])
				if a := c.cli(t, c.r, principal, args...); a.code == exitOK {
					t.Errorf("cardvault %s: taken", a.args)
				}
			}
		}
	}
	for what, stdin := range map[string]string{
		"mistyped": mistyped(pan), "in groups": grouped(pan, " "), "two lines": pan + "\n" + pan, "track": ";" + pan + "=3012?",
		"not UTF-8": "\xff" + pan, "long": pan + strings.Repeat(" ", 300),
	} {
		if a := c.cliWith(t, stdin+"\n", c.r, "issuer", "card", "tokenize", "--expiry", "12/30"); a.code == exitOK {
			t.Errorf("%s: taken", what)
		}
	}
	c.misconfigure(t, pan)
}

// misconfigure has card data in files that operators write.
func (c *canary) misconfigure(t *testing.T, pan string) {
	t.Helper()
	input := t.TempDir() // these hold PANs, and are not the vault's
	for name, text := range map[string]string{
		"value.yaml": "listen: " + pan, "key.yaml": pan + ": 1", "nested.yaml": "tls: {" + pan + ": x}",
		"number.yaml": "limits: {in_flight: " + pan + "}", "broken.yaml": "tls: [" + pan, "tag.yaml": "listen: !" + pan + " x",
	} {
		path := filepath.Join(input, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c.run(t, "serve", "--config", path).must(t, exitUsage)
	}
}

// loseTransit asks for cards whose keys are out of reach.
func (c *canary) loseTransit(t *testing.T) {
	t.Helper()
	c.transit.Seal(t)
	issuer := c.r.as(t, "issuer")
	until(t, "tokenize", "KEYS_UNAVAILABLE", func() error {
		_, err := issuer.cards.TokenizeCard(t.Context(), &cardvaultv1.TokenizeCardRequest{RequestId: uuid.NewString(), Pan: wellKnown[1], Expiry: inTwoYears()})
		return err
	})
	c.transit.Unseal(t)
	eventually(t, "tokenize again", func() error {
		_, err := issuer.cards.TokenizeCard(t.Context(), &cardvaultv1.TokenizeCardRequest{RequestId: uuid.NewString(), Pan: wellKnown[1], Expiry: inTwoYears()})
		return err
	})
}

// losePostgreSQL crashes the database under load.
func (c *canary) losePostgreSQL(t *testing.T) {
	t.Helper()
	under := c.load(t)
	c.cluster.Kill(t)
	_, err := c.r.as(t, "issuer").cards.TokenizeCard(t.Context(), &cardvaultv1.TokenizeCardRequest{RequestId: uuid.NewString(), Pan: wellKnown[2], Expiry: inTwoYears()})
	want(t, "tokenize", err, "STORE_UNAVAILABLE")
	c.cluster.Restart(t)
	under.stop()
	eventually(t, "tokenize again", func() error {
		_, err := c.r.as(t, "issuer").cards.TokenizeCard(t.Context(), &cardvaultv1.TokenizeCardRequest{RequestId: uuid.NewString(), Pan: wellKnown[2], Expiry: inTwoYears()})
		return err
	})
	c.scrape(t)
}

// edit makes rows that raise alarms, and puts them back.
func (c *canary) edit(t *testing.T) {
	t.Helper()
	const flip = "UPDATE cards SET sealed = set_bit(sealed, 77, 1 - get_bit(sealed, 77)), token_tag = token_tag # %s"
	c.sql(t, strings.Replace(flip, "%s", "0", 1))
	_, err := c.r.as(t, "payments").reveal(t.Context(), c.card.GetToken())
	want(t, "detokenize an edited card", err, "INTEGRITY")
	c.sql(t, strings.Replace(flip, "%s", "0", 1))
	c.r.as(t, "payments").mustReveal(t, c.card.GetToken())
	c.scrape(t)
}

// calls under way, until they are stopped.
type underLoad struct {
	cancel context.CancelFunc
	group  *errgroup.Group
}

func (u underLoad) stop() {
	u.cancel()
	_ = u.group.Wait() // what failed, failed since the server was made to
}

// load tokenizes and opens cards without a pause, and returns once that is under way.
func (c *canary) load(t *testing.T) underLoad {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	g, ctx := errgroup.WithContext(ctx)
	started := make(chan struct{}, 100)
	issuer, payments := c.r.as(t, "issuer"), c.r.as(t, "payments")
	for i := range 8 {
		pan := wellKnown[i%len(wellKnown)]
		g.Go(func() error {
			for ctx.Err() == nil {
				taken, err := issuer.cards.TokenizeCard(ctx, &cardvaultv1.TokenizeCardRequest{RequestId: uuid.NewString(), Pan: pan, Expiry: inTwoYears()})
				if err == nil {
					_, _ = payments.reveal(ctx, taken.GetToken())
				}
				select {
				case started <- struct{}{}:
				default:
				}
			}
			return nil
		})
	}
	for range cap(started) {
		<-started
	}
	return underLoad{cancel, g}
}

// dieWithAStackTrace makes the runtime print what every goroutine was doing, with the arguments of its calls.
func (c *canary) dieWithAStackTrace(t *testing.T) {
	t.Helper()
	for range 5 {
		under := c.load(t)
		c.r.signal(t, syscall.SIGQUIT)
		c.r.code(t)
		under.stop()
		c.r = c.serve(t)
	}
}

// crash kills the server under load.
func (c *canary) crash(t *testing.T) {
	t.Helper()
	under := c.load(t)
	c.r.kill(t)
	under.stop()
	c.r = c.serve(t)
	c.scrape(t)
}

// collectPANs opens every card that was issued: its PAN is known to nobody else.
func (c *canary) collectPANs(t *testing.T) {
	t.Helper()
	issuer, payments := c.r.as(t, "issuer"), c.r.as(t, "payments")
	opened := 0
	for page := ""; ; {
		cards, err := issuer.cards.ListCards(t.Context(), &cardvaultv1.ListCardsRequest{PageSize: 1000, PageToken: page})
		if err != nil {
			t.Fatal(err)
		}
		for _, card := range cards.GetCards() {
			if card.GetOrigin() != cardvaultv1.Card_ORIGIN_ISSUED {
				continue
			}
			tokens, err := issuer.tokens.ListTokens(t.Context(), &cardvaultv1.ListTokensRequest{CardId: card.GetId()})
			if err != nil {
				t.Fatal(err)
			}
			payments.mustReveal(t, tokens.GetTokens()[0].GetToken())
			opened++
		}
		if page = cards.GetNextPageToken(); page == "" {
			break
		}
	}
	if opened < issuedCards {
		t.Errorf("%d issued cards, want %d", opened, issuedCards)
	}
	c.scrape(t)
	c.r.stop(t)
}
