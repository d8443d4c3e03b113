package e2e

import (
	"crypto/rand"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/devca"
	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// TestThreeReplicasAreOneService changes things at one replica and looks at the others in the same moment.
func TestThreeReplicasAreOneService(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	f := newFleet(t, s, 3)
	f.replicas[0].as(t, "security").createRange(t, "debit", "90000000")
	t.Run("together", func(t *testing.T) {
		for name, story := range map[string]func(*testing.T, *fleet){
			"what stops at one stops at all":    stopsAtAll,
			"a token revoked at one is no more": revokedAtAll,
			"a single-use token is used once":   usedOnce,
			"a request id is one request":       oneRequest,
			"a PAN is one card":                 oneCard,
			"ranges do not overlap":             oneRange,
			"a new tenant has one of each key":  oneKey,
			"an entry is listed by all":         oneLog,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				story(t, f)
			})
		}
	})
	if chains := s.chains(t); len(chains) != f.runs {
		t.Errorf("%d chains of %d replicas", len(chains), f.runs)
	}
}

// stopsAtAll suspends at each replica in turn. No replica has the card in memory, so the next call anywhere is refused.
func stopsAtAll(t *testing.T, f *fleet) {
	t.Helper()
	const rounds = 12
	for at := range rounds {
		card := f.issuer(at).issue(t)
		pan := f.payments(at+1).mustReveal(t, card.GetToken())
		id := card.GetCard().GetId()
		if _, err := f.issuer(at).cards.SuspendCard(t.Context(), &cardvaultv1.SuspendCardRequest{RequestId: uuid.NewString(), Id: id}); err != nil {
			t.Fatal(err)
		}
		for other := range 3 {
			_, err := f.payments(at+other).reveal(t.Context(), card.GetToken())
			want(t, "detokenize a suspended card", err, "CARD_SUSPENDED")
		}
		if _, err := f.issuer(at+1).cards.ResumeCard(t.Context(), &cardvaultv1.ResumeCardRequest{RequestId: uuid.NewString(), Id: id}); err != nil {
			t.Fatal(err)
		}
		for other := range 3 {
			if err := f.payments(at+other).opensTo(t.Context(), card.GetToken(), pan); err != nil {
				t.Error("resumed card: ", err)
			}
		}
	}
}

// everywhere runs call at every replica, several times, all at once.
func everywhere(call func(replica int)) {
	const callsEach = 4
	begin := make(chan struct{})
	var all sync.WaitGroup
	for replica := range 3 {
		for range callsEach {
			all.Go(func() {
				<-begin
				call(replica)
			})
		}
	}
	close(begin)
	all.Wait()
}

// tally counts outcomes of calls that run at once.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *tally) add(outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[outcome]++
}

func usedOnce(t *testing.T, f *fleet) {
	t.Helper()
	for range 8 {
		card := f.issuer(0).issue(t)
		once, err := f.issuer(0).tokens.CreateToken(t.Context(), &cardvaultv1.CreateTokenRequest{
			RequestId: uuid.NewString(), CardId: card.GetCard().GetId(), Options: &cardvaultv1.TokenOptions{SingleUse: true},
		})
		if err != nil {
			t.Fatal(err)
		}
		var outcomes tally
		everywhere(func(replica int) {
			pan, err := f.payments(replica).reveal(t.Context(), once.GetToken().GetToken())
			if (pan != "") != (err == nil) {
				t.Error("a PAN came with an error, or none without")
			}
			outcomes.add(reason(err))
		})
		if outcomes.counts[""] != 1 || len(outcomes.counts) != 2 || outcomes.counts["TOKEN_USED"] == 0 {
			t.Errorf("outcomes of one single-use token: %v", outcomes.counts)
		}
	}
}

func oneRequest(t *testing.T, f *fleet) {
	t.Helper()
	for range 8 {
		request := &cardvaultv1.IssueCardRequest{RequestId: uuid.NewString(), BinRange: "debit"}
		var answers tally
		everywhere(func(replica int) {
			card, err := f.issuer(replica).cards.IssueCard(t.Context(), request)
			answers.add(card.GetCard().GetId() + " " + card.GetToken() + reason(err))
		})
		if len(answers.counts) != 1 {
			t.Errorf("one request was answered in %d ways: %v", len(answers.counts), answers.counts)
		}
		request.Expiry = inTwoYears()
		_, err := f.issuer(1).cards.IssueCard(t.Context(), request)
		want(t, "another request of the same id", err, "REQUEST_ID_REUSED")
	}
}

func oneCard(t *testing.T, f *fleet) {
	t.Helper()
	for _, pan := range wellKnown {
		var answers, seen tally
		everywhere(func(replica int) {
			c := f.issuer(replica)
			c.saw(pan)
			card, err := c.cards.TokenizeCard(t.Context(), &cardvaultv1.TokenizeCardRequest{RequestId: uuid.NewString(), Pan: pan, Expiry: inTwoYears()})
			answers.add(card.GetCard().GetId() + " " + card.GetToken() + reason(err))
			seen.add(map[bool]string{true: "existing", false: "new"}[card.GetExisting()])
		})
		if len(answers.counts) != 1 || seen.counts["new"] != 1 {
			t.Errorf("one PAN came in as %d cards, %d times as a new one: %v", len(answers.counts), seen.counts["new"], answers.counts)
		}
	}
}

func oneRange(t *testing.T, f *fleet) {
	t.Helper()
	security := []*client{f.replicas[0].as(t, "security"), f.replicas[1].as(t, "security"), f.replicas[2].as(t, "globex-security")}
	var outcomes tally
	everywhere(func(replica int) {
		_, err := security[replica].ranges.CreateBinRange(t.Context(), &cardvaultv1.CreateBinRangeRequest{
			RequestId: uuid.NewString(),
			BinRange:  &cardvaultv1.BinRange{Id: "range-" + strings.ToLower(rand.Text()[:6]), Prefix: "91111111", PanLength: 16, ValidityMonths: 12},
		})
		outcomes.add(reason(err))
	})
	if outcomes.counts[""] != 1 || len(outcomes.counts) != 2 || outcomes.counts["BIN_RANGE_OVERLAP"] == 0 {
		t.Errorf("outcomes of one range, registered at once: %v", outcomes.counts)
	}
}

// oneKey has tenants that nobody has heard of arrive everywhere at once: their rows and keys are made on the way.
func oneKey(t *testing.T, f *fleet) {
	t.Helper()
	for range 5 {
		name := "tenant-" + strings.ToLower(rand.Text()[:5])
		f.site.certify(t, name, devca.Template{URIs: []string{spiffe(name, "issuer")}})
		clients := make([]*client, len(f.replicas))
		for i, r := range f.replicas {
			clients[i] = r.as(t, name)
		}
		var answers tally
		everywhere(func(replica int) {
			c := clients[replica]
			c.saw(wellKnown[0])
			card, err := c.cards.TokenizeCard(t.Context(), &cardvaultv1.TokenizeCardRequest{RequestId: uuid.NewString(), Pan: wellKnown[0], Expiry: inTwoYears()})
			answers.add(card.GetCard().GetId() + " " + card.GetToken() + reason(err))
		})
		if len(answers.counts) != 1 {
			t.Errorf("one PAN of a new tenant came in as %d cards: %v", len(answers.counts), answers.counts)
		}
	}
	if n := f.site.count(t, "SELECT count(*) FROM keys k JOIN tenants t ON t.id = k.tenant WHERE t.name LIKE 'tenant-%'"); n != 10 {
		t.Errorf("5 new tenants have %d keys, want 10", n)
	}
}

func oneLog(t *testing.T, f *fleet) {
	t.Helper()
	card := f.issuer(0).issue(t)
	for i := range f.replicas {
		auditor := f.replicas[i].as(t, "auditor")
		found := false
		for page := ""; ; {
			entries, err := auditor.audit.ListEntries(t.Context(), &cardvaultv1.ListEntriesRequest{PageSize: 1000, PageToken: page})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries.GetEntries() {
				found = found || e.GetReceipt().GetReplica() == card.GetReceipt().GetReplica() &&
					e.GetReceipt().GetNumber() == card.GetReceipt().GetNumber() && e.GetCardId() == card.GetCard().GetId()
			}
			if page = entries.GetNextPageToken(); page == "" {
				break
			}
		}
		if !found {
			t.Errorf("replica %d does not list the entry of a receipt", i)
		}
	}
}

func revokedAtAll(t *testing.T, f *fleet) {
	t.Helper()
	token := f.issuer(0).tokenize(t, luhn(t, "400000123456789"), nil).GetToken()
	if _, err := f.issuer(1).tokens.RevokeToken(t.Context(), &cardvaultv1.RevokeTokenRequest{RequestId: uuid.NewString(), Token: token}); err != nil {
		t.Fatal(err)
	}
	for at := range 3 {
		_, err := f.payments(at).reveal(t.Context(), token)
		want(t, "detokenize a revoked token", err, "TOKEN_NOT_FOUND")
	}
}
