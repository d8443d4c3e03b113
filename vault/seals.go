package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/envelope"
	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/vault/audit"
)

// chainSeal seals the tails of one replica's chain, so that the sequencer takes
// into the log what replicas wrote and nothing else. The key is the replica's own,
// made when it starts; the KEK wraps it, bound to the replica's id.
type chainSeal struct {
	replica uuid.UUID
	key     secret.Bytes
	kind    string
	wrapped []byte
}

func newChainSeal(ctx context.Context, kek keyring.KEK, replica uuid.UUID) (*chainSeal, error) {
	s := &chainSeal{replica: replica, key: secret.Random(sha256.Size), kind: kek.Kind()}
	var err error
	s.wrapped, _, err = kek.Wrap(ctx, chainBinding(replica), s.key)
	if err != nil {
		return nil, fmt.Errorf("wrap the key of this replica's chain: %w", err)
	}
	return s, nil
}

// chainBinding names what the key of a replica's chain is wrapped for.
func chainBinding(replica uuid.UUID) []byte {
	return envelope.Bind("cardvault/chain/v1", replica[:])
}

// tail returns the sealed tail of a chain that is not empty.
func (s *chainSeal) tail(c audit.Chain) audit.Tail {
	t := audit.Tail{Replica: s.replica, Number: c.Len() - 1, Head: c.Head(), KEKKind: s.kind, Key: s.wrapped}
	t.Seal = sealOf(s.key, t)
	return t
}

// sealOf is HMAC-SHA-256 over where the chain ends.
func sealOf(key secret.Bytes, t audit.Tail) audit.Hash {
	number := binary.BigEndian.AppendUint64(nil, uint64(t.Number)) //nolint:gosec // numbers count from 0
	mac := hmac.New(sha256.New, key.Reveal())
	mac.Write(envelope.Bind("cardvault/tail/v1", t.Replica[:], number, t.Head[:]))
	return audit.Hash(mac.Sum(nil))
}

// errSeal: the tail is not as its replica sealed it.
var errSeal = errors.New("the seal of the chain does not fit")

// maxSealKeys bounds the keys of other replicas' chains that are kept.
const maxSealKeys = 256

// seals verifies the tails of every replica's chain.
type seals struct {
	kek keyring.KEK

	mu   sync.Mutex
	keys map[string]secret.Bytes // by wrapped bytes
}

// verify returns nil where the tail's own replica sealed it. Other errors than
// keyring.ErrUnavailable and the context's are for good.
func (s *seals) verify(ctx context.Context, t audit.Tail) error {
	key, err := s.key(ctx, t)
	if err != nil {
		return err
	}
	if seal := sealOf(key, t); !hmac.Equal(seal[:], t.Seal[:]) {
		return errSeal
	}
	return nil
}

func (s *seals) key(ctx context.Context, t audit.Tail) (secret.Bytes, error) {
	if t.KEKKind != s.kek.Kind() {
		return secret.Bytes{}, fmt.Errorf("%w: its key was wrapped by KEK kind %q, here it is %q", errSeal, t.KEKKind, s.kek.Kind())
	}
	// Another replica's key under this replica's id must not be found.
	name := t.Replica.String() + string(t.Key)
	s.mu.Lock()
	key, ok := s.keys[name]
	s.mu.Unlock()
	if ok {
		return key, nil
	}
	key, err := s.kek.Unwrap(ctx, chainBinding(t.Replica), t.Key)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("unwrap the key of a chain: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys) >= maxSealKeys {
		clear(s.keys)
	}
	s.keys[name] = key
	return key, nil
}
