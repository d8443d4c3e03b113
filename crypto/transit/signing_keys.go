package transit

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/crypto/checkpoint"
)

// signingKeys are the versions of a Signer's key, as they were at a time.
type signingKeys struct {
	at         time.Time
	versions   []signingKey // the newest first
	minSigning int          // versions below may not sign any more
}

type signingKey struct {
	checkpoint.Key
	number int
	made   time.Time
}

// newSigningKeys reads the versions of an Ed25519 key. The error is errAnswer.
func newSigningKeys(origin string, p *properties, at time.Time) (*signingKeys, error) {
	var said map[string]struct {
		Made   time.Time `json:"creation_time"`
		Public []byte    `json:"public_key"`
	}
	if p.Type != signerType || json.Unmarshal(p.Keys, &said) != nil {
		return nil, errAnswer
	}
	keys := &signingKeys{at: at, minSigning: p.MinEncryptionVersion}
	for text, version := range said {
		number, err := strconv.Atoi(text)
		if err != nil || number < 1 || version.Made.IsZero() {
			return nil, errAnswer
		}
		key, err := checkpoint.NewKey(origin, version.Public)
		if err != nil {
			return nil, errAnswer
		}
		keys.versions = append(keys.versions, signingKey{key, number, version.Made})
	}
	slices.SortFunc(keys.versions, func(a, b signingKey) int { return b.number - a.number })
	if len(keys.versions) == 0 || keys.versions[0].number != p.LatestVersion {
		return nil, errAnswer
	}
	return keys, nil
}

// signing returns the versions to sign with: the newest, and the one before while
// the newest is young, unless it is retired.
func (k *signingKeys) signing(now time.Time, overlap time.Duration) []checkpoint.Key {
	keys := []checkpoint.Key{k.versions[0].Key}
	if len(k.versions) > 1 && now.Before(k.versions[0].made.Add(overlap)) {
		if before := k.versions[1]; before.number >= k.minSigning {
			keys = append(keys, before.Key)
		}
	}
	return keys
}

// number returns the number of a version, and 0 of a key that is none.
func (k *signingKeys) number(key checkpoint.Key) int {
	for _, v := range k.versions {
		if v.Key.String() == key.String() {
			return v.number
		}
	}
	return 0
}

func (k *signingKeys) verifiers() []note.Verifier {
	verifiers := make([]note.Verifier, 0, len(k.versions))
	for _, v := range k.versions {
		verifiers = append(verifiers, v.Key)
	}
	return verifiers
}
