package vault

import (
	"context"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/fingerprint"
	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/tokenizer/pan"
)

// opener opens cards of one tenant for one call. It asks the key ring for each key
// once, when the first card needs it, and for none on behalf of a call that opens
// nothing.
type opener struct {
	vault       *Vault
	tenant      string
	fingerprint *fingerprint.Key
	data        map[uuid.UUID]*keyring.DataKey
}

func (v *Vault) opener(tenant string) *opener {
	return &opener{vault: v, tenant: tenant, data: map[uuid.UUID]*keyring.DataKey{}}
}

// token opens the card of a token, after checking that the token is this card's.
func (o *opener) token(ctx context.Context, t TokenRow) (pan.PAN, error) {
	fp, err := o.fingerprintKey(ctx)
	if err != nil {
		return pan.PAN{}, err
	}
	if tokenTag(fp, o.tenant, t) != t.Tag {
		return pan.PAN{}, o.vault.corrupt(ctx, o.tenant, t.Card.ID, errTokenTag)
	}
	return o.card(ctx, t.Card)
}

// card opens a card, which must hold the PAN that its fingerprint says.
func (o *opener) card(ctx context.Context, row CardRow) (pan.PAN, error) {
	fp, err := o.fingerprintKey(ctx)
	if err != nil {
		return pan.PAN{}, err
	}
	key, err := o.dataKey(ctx, row.Key)
	if err != nil {
		return pan.PAN{}, err
	}
	p, err := openPAN(key, o.tenant, row)
	if err != nil {
		return pan.PAN{}, o.vault.corrupt(ctx, o.tenant, row.ID, errSealed)
	}
	if fingerprintOf(fp, p) != row.Fingerprint {
		return pan.PAN{}, o.vault.corrupt(ctx, o.tenant, row.ID, errFingerprint)
	}
	return p, nil
}

func (o *opener) fingerprintKey(ctx context.Context) (*fingerprint.Key, error) {
	if o.fingerprint != nil {
		return o.fingerprint, nil
	}
	var err error
	o.fingerprint, err = o.vault.fingerprintKey(ctx, o.tenant)
	return o.fingerprint, err
}

// dataKey returns the key that sealed a card.
func (o *opener) dataKey(ctx context.Context, id uuid.UUID) (*keyring.DataKey, error) {
	if key, ok := o.data[id]; ok {
		return key, nil
	}
	key, err := o.vault.keys.DataKeyByID(ctx, o.tenant, keyring.ID(id))
	if err != nil {
		return nil, o.vault.keyError(ctx, err)
	}
	o.data[id] = key
	return key, nil
}
