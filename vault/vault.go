// Package vault is the only door to card data.
//
// Every exported method of Vault takes the Caller first and begins with the
// guard: it asks policy, and where policy says no it records the refusal and
// ends. What is allowed becomes one change for each item, and the journal, the
// replica's one writer, commits the changes together with their audit entries.
// Only then does an answer leave. So:
//
//   - no PAN leaves and no change is acknowledged before its audit entry is
//     durable (P3);
//   - what cannot be recorded is not done;
//   - a caller reaches its own tenant's rows alone, because the tenant of every
//     read and write is the one in its certificate (P6).
//
// The package seals and opens PANs; the Store below it sees sealed rows only, the
// server above it moves messages only.
package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/tokenizer/pan"
	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
)

// Config is what a Vault is made of. All but Meter are required.
type Config struct {
	Store Store
	KEK   keyring.KEK
	// KeyMaxAge bounds how long an unwrapped key serves without the KEK (P11).
	KeyMaxAge time.Duration
	// DataCryptoperiod is how long a data key seals before its successor takes over
	// (NIST SP 800-57 part 1, §5.3).
	DataCryptoperiod time.Duration
	Policy           *access.Policy
	// Ledger says where the audit log is kept and how it is signed. What concerns this
	// replica alone is filled in.
	Ledger ledger.Config
	Clock  func() time.Time
	Log    *slog.Logger
	// Meter counts commits and alarms; nil: nobody does.
	Meter metric.Meter
}

// Vault is the door. Make one with New; it is safe for concurrent use.
type Vault struct {
	store   Store
	keys    *keyring.Ring
	journal *journal
	ledger  *ledger.Ledger
	policy  atomic.Pointer[access.Policy]
	clock   func() time.Time
	alarms  *alarms
	orders  orders

	cryptoperiod time.Duration
	signer       ledger.Signer
	counting     atomic.Bool // rows by key
	keyWatch     *keyWatch

	stopLedger context.CancelFunc
	ledgerDone chan struct{}
}

// Receipt names the audit entry that was durable before an answer left.
type Receipt struct {
	Replica uuid.UUID
	Number  int64
}

// New starts a replica: it begins a chain of audit entries with one that says so,
// and returns an error where that cannot be recorded.
func New(ctx context.Context, cfg Config) (*Vault, error) {
	if cfg.Meter == nil {
		cfg.Meter = noop.Meter{}
	}
	v := &Vault{
		store: cfg.Store, clock: cfg.Clock, orders: orders{byID: map[uuid.UUID]*pan.Permutation{}},
		cryptoperiod: cfg.DataCryptoperiod, signer: cfg.Ledger.Signer,
		ledgerDone: make(chan struct{}),
	}
	v.policy.Store(cfg.Policy)
	if err := v.assemble(ctx, cfg); err != nil {
		return nil, err
	}
	go v.journal.run() //nolint:contextcheck // the journal outlives ctx
	start := serverChange(actionStart)
	start.entry.Digest = cfg.Policy.Digest()
	if err := v.journal.commit(ctx, start); err != nil {
		v.keys.Close()
		return nil, errors.Join(fmt.Errorf("record the start of this replica: %w", err), v.journal.close(ctx))
	}
	v.runLedger(ctx)
	v.keyWatch.run(ctx)
	return v, nil
}

// assemble makes the vault's parts. Nothing of them runs yet.
func (v *Vault) assemble(ctx context.Context, cfg Config) error {
	var err error
	if v.alarms, err = newAlarms(cfg.Log, cfg.Meter); err != nil {
		return err
	}
	seal, err := newChainSeal(ctx, cfg.KEK, uuid.New())
	if err != nil {
		return err
	}
	if v.ledger, err = v.newLedger(cfg, seal.replica); err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	if v.journal, err = newJournal(cfg, seal, v.ledger.Err, v.alarms); err != nil {
		return err
	}
	v.keys, err = keyring.New(keyring.Config{ //nolint:contextcheck // the ring outlives ctx
		KEK:              cfg.KEK,
		Store:            keyStore{v.store, v.journal},
		Clock:            cfg.Clock,
		MaxAge:           cfg.KeyMaxAge,
		DataCryptoperiod: cfg.DataCryptoperiod,
		Report:           func(err error) { v.alarms.raise(context.WithoutCancel(ctx), "key not renewed", err) },
	})
	if err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	v.keyWatch = &keyWatch{store: cfg.Store, keys: v.keys, clock: cfg.Clock, cryptoperiod: cfg.DataCryptoperiod, alarms: v.alarms}
	if err := v.keyWatch.observe(cfg.Meter); err != nil {
		v.keys.Close()
		return err
	}
	return nil
}

// now returns the time as stores keep it: UTC, whole microseconds.
func (v *Vault) now() time.Time { return v.clock().UTC().Truncate(time.Microsecond) }

// SetPolicy makes p decide from the next call on, once that is recorded. Nil
// denies everything. The policy that is in force already is put in force silently.
func (v *Vault) SetPolicy(ctx context.Context, p *access.Policy) error {
	if now := v.policy.Load(); p != nil && now != nil && p.Digest() == now.Digest() {
		return nil
	}
	c := serverChange(actionSetPolicy)
	c.entry.Digest = p.Digest()
	if err := v.journal.commit(ctx, c); err != nil {
		return fmt.Errorf("record the new policy: %w", err)
	}
	v.policy.Store(p)
	return nil
}

// Ready returns nil where the store answers and the audit log is sound.
func (v *Vault) Ready(ctx context.Context) error {
	if err := v.ledger.Err(); err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	_, err := v.store.Head(ctx, v.journal.replica)
	if err != nil && !errors.Is(err, ErrNoRow) {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// Close forgets the keys and records the end of the replica's chain, after
// everything that was under way. What comes later is refused.
func (v *Vault) Close(ctx context.Context) error {
	v.keyWatch.close()
	v.keys.Close() // before the journal: it may be making a key, which the journal records
	return errors.Join(v.journal.close(ctx), v.closeLedger(ctx))
}

// Actions of the server itself; policy knows nothing of them.
const (
	actionStart     access.Action = "StartReplica"
	actionStop      access.Action = "StopReplica"
	actionCreateKey access.Action = "CreateKey"
	actionStopRange access.Action = "StopBinRange"
	actionSetPolicy access.Action = "SetPolicy"
)

// serverChange is a change that the server makes by itself, in no tenant.
func serverChange(a access.Action) *change {
	return &change{entry: audit.Entry{Action: string(a), Decision: audit.Allow}}
}
