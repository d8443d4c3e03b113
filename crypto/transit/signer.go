package transit

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/crypto/checkpoint"
	"github.com/cardvault/cardvault/crypto/keyring"
)

// SignerConfig names a transit key that signs the checkpoints of a log. Key, Origin
// and Clock must be given.
type SignerConfig struct {
	// Key is the name of the key, in the mount of the KEK.
	Key string
	// Origin is that of the log, and the name of its keys: cards.example.com/audit.
	Origin string
	// Overlap is for how long after a rotation the version before signs too: the time
	// that verifiers have to learn of the new one. A week if 0. Rotate no more often.
	Overlap time.Duration
	// Clock tells how old a version is.
	Clock func() time.Time
}

const defaultOverlap = 7 * 24 * time.Hour

// maxKeysAge is how long a look at the key serves. A rotation is noticed within it.
const maxKeysAge = 15 * time.Second

// Signer signs checkpoints with an Ed25519 key of transit. Make it with KEK.Signer.
// Methods are safe for concurrent use.
type Signer struct {
	engine  *engine
	key     string
	origin  string
	overlap time.Duration
	clock   func() time.Time
	read    atomic.Pointer[signingKeys] // nil: to be read
}

// Signer returns a signer that shares the login and connections of the KEK, and ends
// with it. It does not call the server. Call its Check before trusting the key.
func (k *KEK) Signer(cfg SignerConfig) (*Signer, error) {
	if !isName(cfg.Key) {
		return nil, errors.New("transit: signer: key: must be a name of letters, digits, '.', '_' and '-'")
	}
	if _, err := checkpoint.NewKey(cfg.Origin, make([]byte, 32)); err != nil {
		return nil, fmt.Errorf("transit: signer: %w", err)
	}
	if cfg.Overlap < 0 || cfg.Clock == nil {
		return nil, errors.New("transit: signer: want a clock, and no negative overlap")
	}
	if cfg.Overlap == 0 {
		cfg.Overlap = defaultOverlap
	}
	return &Signer{engine: k.engine, key: cfg.Key, origin: cfg.Origin, overlap: cfg.Overlap, clock: cfg.Clock}, nil
}

// Sign returns the text, which must be a checkpoint of the log, as a note signed by
// the newest version of the key, and by the one before while it is to.
//
// The error is keyring.ErrDenied, keyring.ErrUnavailable or the caller's context.
func (s *Signer) Sign(ctx context.Context, text string) ([]byte, error) {
	keys, fresh, err := s.keys(ctx)
	if err != nil {
		return nil, err
	}
	signed, err := s.sign(ctx, keys, text)
	if err != nil {
		s.read.CompareAndSwap(keys, nil) // it may be that the key changed
	}
	if fresh || !isStale(err) {
		return signed, err
	}
	if keys, _, err = s.keys(ctx); err != nil {
		return nil, err
	}
	return s.sign(ctx, keys, text)
}

// isStale reports whether err may be for the key having changed since it was read: a
// version is retired, or another key has its name. The server says such things with
// 400, 404 and 500.
func isStale(err error) bool {
	var answer *answerError
	return errors.Is(err, checkpoint.ErrSignature) || errors.As(err, &answer) && answer.messages != nil
}

func (s *Signer) sign(ctx context.Context, keys *signingKeys, text string) ([]byte, error) {
	versions := keys.signing(s.clock(), s.overlap)
	signed, err := checkpoint.Sign(text, func(key checkpoint.Key, msg []byte) ([]byte, error) {
		return s.signature(ctx, keys.number(key), msg)
	}, versions...)
	switch {
	case err == nil:
		return signed, nil
	case errors.Is(err, checkpoint.ErrText):
		return nil, fmt.Errorf("transit: sign: %w: %w", keyring.ErrDenied, err)
	}
	return nil, explain(ctx, "sign", err)
}

// signature returns the signature of msg by a version of the key.
func (s *Signer) signature(ctx context.Context, version int, msg []byte) ([]byte, error) {
	text, err := s.engine.write(ctx, "sign", s.key, "signature", map[string]any{
		"input":       base64.StdEncoding.EncodeToString(msg),
		"key_version": version,
	})
	if err != nil {
		return nil, err
	}
	by, body, ok := versionOf(text)
	if !ok || by != strconv.Itoa(version) {
		return nil, errAnswer
	}
	signature, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return nil, errAnswer
	}
	return signature, nil
}

// Keys returns the key's versions that transit still has, the newest first. Each is
// a fmt.Stringer: its text is the verifier key to hand out. A version that signed
// before is there until min_decryption_version of the transit key is raised over it.
// One that was made in the last 15 seconds may be missing.
//
// The error is as Sign's.
func (s *Signer) Keys(ctx context.Context) ([]note.Verifier, error) {
	keys, _, err := s.keys(ctx)
	if err != nil {
		return nil, err
	}
	return keys.verifiers(), nil
}

// FreshKeys is Keys without those 15 seconds: it asks the server.
func (s *Signer) FreshKeys(ctx context.Context) ([]note.Verifier, error) {
	keys, err := s.readKeys(ctx, s.clock())
	if err != nil {
		return nil, err
	}
	return keys.verifiers(), nil
}

// keys returns what is known of the key, and whether it was read just now.
func (s *Signer) keys(ctx context.Context) (keys *signingKeys, fresh bool, err error) {
	now := s.clock()
	if keys := s.read.Load(); keys != nil && keys.at.After(now.Add(-maxKeysAge)) && !keys.at.After(now) {
		return keys, false, nil
	}
	keys, err = s.readKeys(ctx, now)
	return keys, err == nil, err
}

// readKeys asks the server, at the time now.
func (s *Signer) readKeys(ctx context.Context, now time.Time) (*signingKeys, error) {
	p, err := s.engine.properties(ctx, s.key, signerOptions)
	if err != nil {
		return nil, err
	}
	keys, err := newSigningKeys(s.origin, p, now)
	if err != nil {
		return nil, explain(ctx, "read the versions of the key", err)
	}
	s.read.Store(keys)
	return keys, nil
}
