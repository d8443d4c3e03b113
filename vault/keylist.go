package vault

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/vault/access"
)

// The list of keys is what PCI DSS 4.0.1, 3.6.1.1 asks for: algorithms, strength,
// expiry and use of each key. It is of all tenants, so it is for staff; and it has
// no key in it, not even a wrapped one.

// KeyVersion is what may be shown of a key version.
type KeyVersion struct {
	ID     uuid.UUID
	Tenant string
	// Purpose is data, fingerprint or range.
	Purpose string
	// BINRange that the key is of; empty: of none.
	BINRange string
	// Algorithm is empty where the purpose is none.
	Algorithm string
	// State is active, retiring, retired or destroyed.
	State               string
	KEKKind, KEKVersion string
	Created             time.Time
	Age                 time.Duration
	// Limit is nil where keys of the purpose have neither a cryptoperiod nor a limit
	// of uses.
	Limit *KeyLimit
	// Rows that depend on it; nil: they were not counted.
	Rows *int64
}

// KeyLimit says when a key seals no more.
type KeyLimit struct {
	Ends time.Time
	Uses int64
	// Sealing: it is the version that seals. What is left says nothing of others.
	Sealing bool
	// Left is negative after the end.
	Left     time.Duration
	UsesLeft int64
}

// KEKVersion is a version of the KEK and how many key versions it wraps.
type KEKVersion struct {
	Kind, Version string
	Keys          int64
}

// KeyQuery asks for a page of the list of keys.
type KeyQuery struct {
	PageSize  int
	PageToken string
	// CountRows counts the rows that depend on each key, by reading all cards of the
	// tenants on the page.
	CountRows bool
}

// KeyList is a page of the list of keys.
type KeyList struct {
	Keys []KeyVersion
	// Next is the token of the next page, empty on the last.
	Next string
	// KEKs are the versions that wrap a key. On the first page only.
	KEKs []KEKVersion
	// LogKeys are the audit log's keys as verifiers are given them. On the first page
	// only; empty there where the signer does not answer.
	LogKeys []string
}

const (
	// countTime bounds a count of rows, which reads every card of the tenants.
	countTime = 20 * time.Second
	// signerTime bounds the question for the audit log's keys.
	signerTime = 5 * time.Second
)

// ListKeys returns a page of the key versions of all tenants, in order of tenant
// and id.
func (v *Vault) ListKeys(ctx context.Context, c Caller, q KeyQuery) (KeyList, Receipt, error) {
	g, err := v.guard(ctx, c, access.ListKeys, about{})
	if err != nil {
		return KeyList{}, Receipt{}, err
	}
	ch := g.change()
	list, err := v.keyPage(ctx, q)
	ch.entry.Count = len(list.Keys)
	receipt, err := v.finish(ctx, ch, err)
	if err != nil {
		return KeyList{}, receipt, err
	}
	return list, receipt, nil
}

// keyPage reads a page and one key more, which tells whether there is another.
func (v *Vault) keyPage(ctx context.Context, q KeyQuery) (KeyList, error) {
	size, err := pageSize(q.PageSize)
	if err != nil {
		return KeyList{}, err
	}
	after, err := parseKeyPosition(q.PageToken)
	if err != nil {
		return KeyList{}, err
	}
	rows, err := v.store.ListKeys(ctx, after, size+1)
	if err != nil {
		return KeyList{}, v.storeError(ctx, err)
	}
	list := KeyList{}
	if len(rows) > size {
		rows = rows[:size]
		list.Next = KeyPosition{rows[size-1].Tenant, rows[size-1].ID}.text()
	}
	now := v.now()
	for _, row := range rows {
		list.Keys = append(list.Keys, row.version(now, v.cryptoperiod))
	}
	if q.CountRows {
		if err := v.countRows(ctx, list.Keys); err != nil {
			return KeyList{}, err
		}
	}
	if q.PageToken == "" {
		list.LogKeys = v.logKeys(ctx)
		list.KEKs, err = v.kekVersions(ctx)
	}
	return list, err
}

// version returns what may be shown of a row.
func (r KeyListRow) version(now time.Time, cryptoperiod time.Duration) KeyVersion {
	purpose := purposeOf(r.Purpose)
	k := KeyVersion{
		ID: r.ID, Tenant: r.Tenant, Purpose: r.Purpose, BINRange: r.Subject, Algorithm: purpose.Algorithm(), State: r.State,
		KEKKind: r.KEKKind, KEKVersion: r.KEKVersion, Created: r.Created, Age: now.Sub(r.Created),
	}
	if purpose == keyring.PurposeData {
		ends := r.Created.Add(cryptoperiod)
		k.Limit = &KeyLimit{
			Ends: ends, Uses: r.Uses, Sealing: stateOf(r.State) == keyring.StateActive,
			Left: ends.Sub(now), UsesLeft: max(0, keyring.UsesLimit-r.Uses),
		}
	}
	return k
}

// countRows fills in how many rows depend on each key. One count runs at a time, so
// that they do not take the store's connections from the calls that need them.
func (v *Vault) countRows(ctx context.Context, keys []KeyVersion) error {
	if !v.counting.CompareAndSwap(false, true) {
		return ErrKeyRowsBusy
	}
	defer v.counting.Store(false)
	var tenants []string
	for _, k := range keys {
		tenants = append(tenants, k.Tenant)
	}
	counts, err := v.store.CountKeyRows(ctx, slices.Compact(tenants), countTime)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return ErrKeyRowsTime
	case err != nil:
		return v.storeError(ctx, err)
	}
	byKey, cards := map[KeyPosition]int64{}, map[string]int64{}
	for _, c := range counts {
		byKey[KeyPosition{c.Tenant, c.Key}] += c.Cards + c.Ranges
		cards[c.Tenant] += c.Cards
	}
	for i := range keys {
		k := &keys[i]
		k.Rows = new(byKey[KeyPosition{k.Tenant, k.ID}])
		if k.Purpose == keyring.PurposeFingerprint.String() {
			// A deleted card keeps its fingerprint, so that its number is not issued again.
			k.Rows = new(cards[k.Tenant])
		}
	}
	return nil
}

// kekVersions returns the KEK's versions that wrap a key, in order of name.
func (v *Vault) kekVersions(ctx context.Context) ([]KEKVersion, error) {
	counts, err := v.store.CountKeys(ctx)
	if err != nil {
		return nil, v.storeError(ctx, err)
	}
	var versions []KEKVersion
	for _, c := range counts {
		if stateOf(c.State) == keyring.StateDestroyed {
			continue // it has no wrapped bytes any more
		}
		i := slices.IndexFunc(versions, func(k KEKVersion) bool { return k.Kind == c.KEKKind && k.Version == c.KEKVersion })
		if i < 0 {
			i = len(versions)
			versions = append(versions, KEKVersion{Kind: c.KEKKind, Version: c.KEKVersion})
		}
		versions[i].Keys += c.Keys
	}
	slices.SortFunc(versions, func(a, b KEKVersion) int {
		return strings.Compare(a.Kind+" "+a.Version, b.Kind+" "+b.Version)
	})
	return versions, nil
}

// logKeys returns the audit log's verifier keys, or none where the signer does not
// answer: a list of keys is wanted most when keys are out of reach.
func (v *Vault) logKeys(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, signerTime)
	defer cancel()
	verifiers, err := v.signer.Keys(ctx)
	if err != nil {
		return nil
	}
	var keys []string
	for _, verifier := range verifiers {
		keys = append(keys, fmt.Sprint(verifier))
	}
	return keys
}

// A position's text is base64url of the id and the tenant's name.

func (p KeyPosition) text() string {
	return base64.RawURLEncoding.EncodeToString(append(p.ID[:], p.Tenant...))
}

// parseKeyPosition reads where a page begins; empty: at the first key.
func parseKeyPosition(text string) (KeyPosition, error) {
	if text == "" {
		return KeyPosition{}, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < len(uuid.UUID{}) || !utf8.Valid(b[16:]) || slices.Contains(b[16:], 0) {
		return KeyPosition{}, field("page_token", text, ErrPageToken)
	}
	return KeyPosition{Tenant: string(b[16:]), ID: uuid.UUID(b[:16])}, nil
}
