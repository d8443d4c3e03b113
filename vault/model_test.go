package vault_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/vault"
)

// TestLifeOfCards has two replicas do whatever comes, and compares each answer with
// a model of a few maps: no card is lost, every token opens its own card's PAN or
// says why not, and both replicas always agree.
func TestLifeOfCards(t *testing.T) {
	s := newSite(t)
	first, second := s.replica(t, s.store), s.replica(t, s.store)
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{
			T: t, rt: rt, replicas: []*vault.Vault{first, second}, tenant: "t" + newRequestID()[:8],
			cards: map[string]*modelCard{}, tokens: map[string]string{},
		}
		m.createRange()
		rt.Repeat(map[string]func(*rapid.T){
			"issue": m.issue, "tokenize": m.tokenize, "suspend": m.suspend, "resume": m.resume, "close": m.close,
			"delete": m.delete, "createToken": m.createToken, "revoke": m.revoke, "detokenize": m.detokenize,
		})
		for token := range m.tokens {
			m.open(token)
		}
	})
}

// modelCard is what the model knows of a card.
type modelCard struct {
	number   string
	state    vault.CardState
	standing string
}

type model struct {
	*testing.T

	rt       *rapid.T
	replicas []*vault.Vault
	tenant   string
	cards    map[string]*modelCard // by id; deleted ones too
	tokens   map[string]string     // to card ids
}

func (m *model) vault() *vault.Vault {
	return m.replicas[rapid.IntRange(0, len(m.replicas)-1).Draw(m.rt, "replica")]
}

func (m *model) caller(name string) vault.Caller { return callerOf(m.tenant, name) }

func (m *model) createRange() {
	prefix := "9" + rapid.StringMatching(`[0-9]{10}`).Draw(m.rt, "prefix")
	_, _, err := m.vault().CreateBINRange(m.Context(), m.caller("security"), "", spec("demo", prefix))
	if errors.Is(err, vault.ErrBINRangeOverlap) {
		m.rt.Skip("another run has this range")
	}
	m.must(err)
}

func (m *model) must(err error) {
	if err != nil {
		m.rt.Fatal(err)
	}
}

// want checks a refusal.
func (m *model) want(err error, want *vault.Error) {
	if want == nil {
		m.must(err)
	} else if !errors.Is(err, want) {
		m.rt.Fatalf("answer %v, want %s", err, want.Reason)
	}
}

func (m *model) issue(*rapid.T) {
	results, err := m.vault().IssueCards(m.Context(), m.caller("issuer"), requests(rapid.IntRange(1, 3).Draw(m.rt, "n")))
	m.must(err)
	for _, r := range results {
		m.must(r.Err)
		number, err := m.reveal(r.Token)
		m.must(err)
		for _, c := range m.cards {
			if c.number == number {
				m.rt.Fatal("a PAN was issued twice")
			}
		}
		m.cards[r.Card.ID.String()] = &modelCard{number, vault.CardActive, r.Token}
		m.tokens[r.Token] = r.Card.ID.String()
	}
}

func (m *model) tokenize(*rapid.T) {
	numbers := []string{foreignPAN, "5555555555554444", "378282246310005", "6011111111111117"}
	for _, id := range slices.Sorted(maps.Keys(m.cards)) {
		numbers = append(numbers, m.cards[id].number)
	}
	number := rapid.SampledFrom(numbers).Draw(m.rt, "number")
	results, err := m.vault().TokenizeCards(m.Context(), m.caller("issuer"), []vault.TokenizeRequest{
		{PAN: secret.New([]byte(number)), Expiry: expiry()},
	})
	m.must(err)
	r := results[0]
	m.must(r.Err)
	id := r.Card.ID.String()
	known := m.cardOf(number)
	switch {
	case known == "":
		m.cards[id] = &modelCard{number, vault.CardActive, r.Token}
	case known != id:
		m.rt.Fatal("one PAN has two cards")
	case m.cards[id].state == vault.CardDeleted:
		*m.cards[id] = modelCard{number, vault.CardActive, r.Token}
	case m.cards[id].standing == "":
		m.cards[id].standing = r.Token
	case m.cards[id].standing != r.Token:
		m.rt.Fatal("a card has two standing tokens")
	}
	m.tokens[r.Token] = id
}

func (m *model) cardOf(number string) string {
	for id, c := range m.cards {
		if c.number == number {
			return id
		}
	}
	return ""
}

// some draws one of the cards.
func (m *model) some() (string, *modelCard) {
	if len(m.cards) == 0 {
		m.rt.Skip("no card")
	}
	id := rapid.SampledFrom(slices.Sorted(maps.Keys(m.cards))).Draw(m.rt, "card")
	return id, m.cards[id]
}

func (m *model) move(to vault.CardState, call func(id string) error, refusals map[vault.CardState]*vault.Error) {
	id, c := m.some()
	refusals[vault.CardDeleted] = vault.ErrCardNotFound
	want := refusals[c.state]
	m.want(call(id), want)
	if want == nil {
		c.state = to
	}
}

func (m *model) suspend(*rapid.T) {
	m.move(vault.CardSuspended, func(id string) error {
		_, _, err := m.vault().SuspendCard(m.Context(), m.caller("issuer"), "", id)
		return err
	}, map[vault.CardState]*vault.Error{
		vault.CardSuspended: vault.ErrCardSuspended, vault.CardClosed: vault.ErrCardClosed,
	})
}

func (m *model) resume(*rapid.T) {
	m.move(vault.CardActive, func(id string) error {
		_, _, err := m.vault().ResumeCard(m.Context(), m.caller("issuer"), "", id)
		return err
	}, map[vault.CardState]*vault.Error{
		vault.CardActive: vault.ErrCardActive, vault.CardClosed: vault.ErrCardClosed,
	})
}

func (m *model) close(*rapid.T) {
	m.move(vault.CardClosed, func(id string) error {
		_, _, err := m.vault().CloseCard(m.Context(), m.caller("issuer"), "", id)
		return err
	}, map[vault.CardState]*vault.Error{vault.CardClosed: vault.ErrCardClosed})
}

func (m *model) delete(*rapid.T) {
	id, c := m.some()
	_, err := m.vault().DeleteCard(m.Context(), m.caller("issuer"), "", id)
	if c.state == vault.CardDeleted {
		m.want(err, vault.ErrCardNotFound)
		return
	}
	m.must(err)
	c.state, c.standing = vault.CardDeleted, ""
	maps.DeleteFunc(m.tokens, func(_, card string) bool { return card == id })
}

func (m *model) createToken(*rapid.T) {
	id, c := m.some()
	o := vault.TokenOptions{}
	if rapid.Bool().Draw(m.rt, "digits") {
		o.Format = vault.DigitToken
	}
	made, _, err := m.vault().CreateToken(m.Context(), m.caller("issuer"), "", id, o)
	if c.state == vault.CardDeleted {
		m.want(err, vault.ErrCardNotFound)
		return
	}
	m.must(err)
	if o.Format == vault.OpaqueToken {
		if c.standing != "" && c.standing != made.Token {
			m.rt.Fatal("a card has two standing tokens")
		}
		c.standing = made.Token
	}
	m.tokens[made.Token] = id
}

func (m *model) someToken() string {
	if len(m.tokens) == 0 {
		m.rt.Skip("no token")
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(m.tokens))).Draw(m.rt, "token")
}

func (m *model) revoke(*rapid.T) {
	token := m.someToken()
	_, err := m.vault().RevokeToken(m.Context(), m.caller("issuer"), "", token)
	m.must(err)
	if c := m.cards[m.tokens[token]]; c.standing == token {
		c.standing = ""
	}
	delete(m.tokens, token)
	if _, err := m.reveal(token); !errors.Is(err, vault.ErrTokenNotFound) {
		m.rt.Fatal("a revoked token answers", err)
	}
}

func (m *model) detokenize(*rapid.T) { m.open(m.someToken()) }

// open expects the PAN of the token's card, or the refusal of its state.
func (m *model) open(token string) {
	c := m.cards[m.tokens[token]]
	number, err := m.reveal(token)
	switch c.state {
	case vault.CardActive:
		m.must(err)
		if number != c.number {
			m.rt.Fatal("a token opened another card")
		}
	case vault.CardSuspended:
		m.want(err, vault.ErrCardSuspended)
	case vault.CardClosed:
		m.want(err, vault.ErrCardClosed)
	case vault.CardDeleted:
		m.want(err, vault.ErrTokenNotFound)
	}
}

func (m *model) reveal(token string) (string, error) {
	results, err := m.vault().DetokenizeCards(m.Context(), m.caller("payments"), vault.DetokenizeRequest{
		Tokens: []string{token}, Purpose: "settlement", View: vault.Full,
	})
	if err != nil {
		return "", err
	}
	return results[0].PAN.Reveal(), results[0].Err
}
