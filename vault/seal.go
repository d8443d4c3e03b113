package vault

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/envelope"
	"github.com/cardvault/cardvault/crypto/fingerprint"
	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/tokenizer/pan"
)

// Labels name what sealed and hashed bytes are for, with the version of their
// format. Bytes made under one label are never valid under another.
const (
	labelCard  = "cardvault/card/v1"
	labelPAN   = "cardvault/pan/v1"
	labelToken = "cardvault/token/v1"
	labelRange = "cardvault/range/v1"
)

// cardAAD binds a sealed PAN to its row: in another row, tenant or under another
// key id it does not open (P5).
func cardAAD(tenant string, card, key uuid.UUID) []byte {
	return envelope.Bind(labelCard, []byte(tenant), card[:], key[:])
}

// sealPAN returns the row of an active card that holds p. Every PAN seals to the
// same number of bytes, so that a row does not tell the length of its PAN.
func sealPAN(key *keyring.DataKey, tenant string, card uuid.UUID, p pan.PAN) (CardRow, error) {
	packed := p.Pack()
	sealed, err := key.Seal(packed[:], cardAAD(tenant, card, uuid.UUID(key.ID)))
	if err != nil {
		return CardRow{}, fmt.Errorf("seal a card: %w", err)
	}
	return CardRow{
		ID: card, Key: uuid.UUID(key.ID), Sealed: sealed, State: CardActive,
		LastFour: int16(p.Number() % 10000),
	}, nil
}

// openPAN opens a card in its own row. Any other row's bytes are ErrIntegrity.
func openPAN(key *keyring.DataKey, tenant string, row CardRow) (pan.PAN, error) {
	packed, err := key.Open(row.Sealed, cardAAD(tenant, row.ID, row.Key))
	if err != nil {
		return pan.PAN{}, ErrIntegrity
	}
	p, err := pan.Unpack(packed)
	if err != nil {
		return pan.PAN{}, ErrIntegrity
	}
	return p, nil
}

// fingerprintOf returns the keyed hash by which a tenant's PAN is found again.
func fingerprintOf(key *fingerprint.Key, p pan.PAN) uuid.UUID {
	packed := p.Pack()
	return key.Sum(labelPAN, packed[:])
}

// tokenTag returns the keyed hash that ties a token to its card, the card's
// fingerprint and the token's options. A token that is pointed at another card, that
// is found by another card's PAN, or whose limits are taken away, by a hand in the
// database has a wrong one (P5). 64 bits: to forge one takes a guess
// at the running server for each try.
func tokenTag(key *fingerprint.Key, tenant string, t TokenRow) int64 {
	var limits []byte
	if !t.Expires.IsZero() {
		limits = binary.BigEndian.AppendUint64(limits, uint64(t.Expires.UnixMicro()))
	}
	flags := []byte{flag(t.Standing), flag(t.KeepLastFour), flag(t.SingleUse)}
	parts := [][]byte{[]byte(tenant), t.Token[:], t.Card.ID[:], t.Card.Fingerprint[:], flags, limits}
	for _, name := range t.Principals {
		parts = append(parts, []byte(name))
	}
	return tagOf(key.Sum(labelToken, parts...))
}

func tagOf(sum [16]byte) int64 {
	return int64(binary.BigEndian.Uint64(sum[:])) //nolint:gosec // bytes of the same width
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

// standingTag returns the tag of a card's standing token.
func standingTag(key *fingerprint.Key, tenant string, card CardRow, token tokenizer.ID) int64 {
	return tokenTag(key, tenant, TokenRow{Token: token, Standing: true, Card: card})
}

// rangeTag returns the keyed hash that ties a range to the PANs it was registered
// for. Who could narrow a range to one number by hand would know which PAN is issued
// next; who could move it would have it issue another's (P2).
func rangeTag(key *fingerprint.Key, tenant string, r BINRangeRow) int64 {
	var bounds []byte
	for _, n := range []int64{int64(r.Length), int64(r.ValidityMonths), r.First, r.Last} {
		bounds = binary.BigEndian.AppendUint64(bounds, uint64(n)) //nolint:gosec // bytes of the same width
	}
	for _, i := range r.Reserved {
		bounds = binary.BigEndian.AppendUint64(bounds, uint64(i.First)) //nolint:gosec // as above
		bounds = binary.BigEndian.AppendUint64(bounds, uint64(i.Last))  //nolint:gosec // as above
	}
	return tagOf(key.Sum(labelRange, []byte(tenant), []byte(r.Name), r.Key[:], []byte(r.Prefix), bounds))
}

// What corrupt raises an alarm about.
var (
	errTokenTag    = errors.New("a token's row was altered")
	errSealed      = errors.New("a card does not open in its row")
	errFingerprint = errors.New("a card holds another PAN than its fingerprint says")
)

// corrupt raises the alarm about a row that is not as the vault wrote it, and
// returns the refusal that tells nothing of it.
func (v *Vault) corrupt(ctx context.Context, tenant string, card uuid.UUID, what error) error {
	v.alarms.raise(ctx, "integrity", what, slog.String("tenant", tenant), slog.String("card_id", card.String()))
	return ErrIntegrity
}
