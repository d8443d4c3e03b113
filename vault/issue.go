package vault

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/tokenizer/pan"
	"github.com/cardvault/cardvault/vault/access"
)

// IssueRequest asks for a new card of a range.
type IssueRequest struct {
	// RequestID makes the request repeatable; empty: it is not.
	RequestID string
	BINRange  string
	// Expiry is nil where the range's rule sets it.
	Expiry *Month
	Token  TokenOptions
}

// IssueResult is a new card with its token, or the Err of this one item.
type IssueResult struct {
	Card    Card
	Token   string
	Receipt Receipt
	Err     error
}

// IssueCards makes a new PAN for each request, all in one commit. The error is of
// the whole call; each result has its own.
//
// A number of the range is used if and only if its card is committed, so no PAN is
// issued twice and none is lost, whatever fails in between (P2).
func (v *Vault) IssueCards(ctx context.Context, c Caller, reqs []IssueRequest) ([]IssueResult, error) {
	if err := v.checkBatch(ctx, c, access.IssueCard, len(reqs)); err != nil {
		return nil, err
	}
	issuers := map[string]*issuer{}
	changes := make([]*change, len(reqs))
	for i, req := range reqs {
		from, ok := issuers[req.BINRange]
		if !ok {
			from = v.issuer(ctx, c, req.BINRange, len(reqs))
			issuers[req.BINRange] = from
		}
		changes[i] = from.grant.change()
		if err := changes[i].reject(v.planIssue(changes[i], from, req)); err != nil {
			return nil, err
		}
	}
	if err := v.journal.commit(ctx, changes...); err != nil {
		return nil, err
	}
	results := make([]IssueResult, len(reqs))
	for i, change := range changes {
		results[i] = v.issued(ctx, change)
	}
	return results, nil
}

// issuer is what the cards of one range are made with.
type issuer struct {
	grant   grant
	row     BINRangeRow
	numbers *numbers
	keys    cardKeys
	// err is why no card can be made, policy's refusal among others.
	err error
}

// issuer asks policy and gets the range and its keys, with room for n cards.
func (v *Vault) issuer(ctx context.Context, c Caller, name string, n int) *issuer {
	if malformed := checkRangeID("bin_range", name); malformed != nil {
		return &issuer{grant: grant{c, undecided(c, access.IssueCard)}, err: malformed}
	}
	g, denied := v.decide(c, access.IssueCard, about{binRange: name})
	if denied != nil {
		return &issuer{grant: g, err: denied}
	}
	from := &issuer{grant: g}
	if from.row, from.err = v.binRange(ctx, c.Tenant, name); from.err != nil {
		return from
	}
	if from.keys, from.err = v.cardKeys(ctx, c.Tenant, n); from.err != nil {
		return from
	}
	from.numbers, from.err = v.numbers(ctx, c.Tenant, from.row, from.keys.fingerprint)
	return from
}

// planIssue makes the change issue a card, or returns why it cannot.
func (v *Vault) planIssue(c *change, from *issuer, req IssueRequest) error {
	if from.err != nil {
		return from.err
	}
	now := v.now()
	if err := c.repeatable(req.RequestID, from.grant, now, []byte(req.BINRange), req.Expiry.bytes(), req.Token.bytes()); err != nil {
		return err
	}
	if err := req.Token.check("token"); err != nil {
		return err
	}
	expiry := ExpiryIn(now, int(from.row.ValidityMonths))
	c.unless = from.row.closed()
	if req.Expiry != nil {
		var err error
		if expiry, err = req.Expiry.expiry(now); err != nil {
			c.unless, _ = asRefusal(err) // a repetition was in time when it was first asked for
		}
	}
	m := mint{
		from: from, card: CardRow{ID: uuid.New(), Expiry: expiry, Created: now}, options: req.Token, now: now,
		made: map[int64]minted{},
	}
	if req.Token.standing() {
		m.card.StandingToken = tokenizer.NewOpaque().ID()
	}
	if c.request != nil {
		c.request.Card, c.request.Token = m.card.ID, m.card.StandingToken
	}
	c.issue = &issuing{
		number: from.row.Number, name: from.row.Name, blockSize: blockSize(from.row.capacity()), mint: m.at,
	}
	return nil
}

// mint makes cards of one request's numbers.
type mint struct {
	from    *issuer
	card    CardRow // without its number
	options TokenOptions
	now     time.Time
	// made keeps the cards by number: a commit that is repeated seals none again.
	made map[int64]minted
}

// at makes the card of the range's i-th number, or returns false where it is
// reserved.
func (m mint) at(i int64) (minted, bool, error) {
	if card, ok := m.made[i]; ok {
		return card, true, nil
	}
	p, ok := m.from.numbers.at(i)
	if !ok {
		return minted{}, false, nil
	}
	card, err := m.of(p)
	if err != nil {
		return minted{}, false, err
	}
	m.made[i] = card
	return card, true, nil
}

// of makes the card of a number.
func (m mint) of(p pan.PAN) (minted, error) {
	tenant, keys := m.from.grant.caller.Tenant, m.from.keys
	row, err := sealPAN(keys.data, tenant, m.card.ID, p)
	if err != nil {
		return minted{}, err
	}
	row.Fingerprint = fingerprintOf(keys.fingerprint, p)
	row.Origin, row.RangeNumber, row.BINRange = Issued, m.from.row.Number, m.from.row.Name
	row.Expiry, row.Created = m.card.Expiry, m.card.Created
	if m.options.standing() {
		row.StandingToken = m.card.StandingToken
		row.StandingTag = standingTag(keys.fingerprint, tenant, row, row.StandingToken)
		return minted{card: row}, nil
	}
	return minted{row, m.options.drawer(keys.fingerprint, tenant, p, m.now)}, nil
}

// issued turns a committed change into its answer.
func (v *Vault) issued(ctx context.Context, c *change) IssueResult {
	if c.out.stopped {
		v.alarms.raise(ctx, "BIN range stopped: it drew a number that it had issued", ErrBINRangeStopped,
			slog.String("tenant", c.tenant), slog.String("bin_range", c.issue.name))
	}
	card, receipt, err := v.cardOf(ctx, c)
	if err != nil {
		return IssueResult{Receipt: receipt, Err: err}
	}
	return IssueResult{Card: card, Token: tokenText(c.out.token), Receipt: receipt}
}

// cardOf returns the card of a committed change; where it was a repetition, the
// card as it is now.
func (v *Vault) cardOf(ctx context.Context, c *change) (Card, Receipt, error) {
	receipt, err := c.outcome()
	if err != nil {
		return Card{}, receipt, err
	}
	row := c.out.card
	if c.out.replay != nil {
		if row, err = v.liveCard(ctx, c.tenant, c.out.replay.Card); err != nil {
			return Card{}, receipt, err
		}
	}
	return row.card(), receipt, nil
}
