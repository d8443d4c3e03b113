package transit

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/cardvault/cardvault/crypto/checkpoint"
)

// signerType is the transit type of a Signer's key, and signerOptions how it is made.
const (
	signerType    = "ed25519"
	signerOptions = "type=" + signerType
)

// Check asks whether the key is there, is strong enough and may be used, as the
// KEK's Check does, with the same errors.
func (s *Signer) Check(ctx context.Context) error {
	properties, err := s.engine.properties(ctx, s.key, signerOptions)
	if err != nil {
		return err
	}
	if err := properties.weakness(s.engine.keyPath(s.key), signerType, false); err != nil {
		return err
	}
	if err := s.engine.checkNamespace(ctx, s.key); err != nil {
		return err
	}
	keys, err := newSigningKeys(s.origin, properties, s.clock())
	if err != nil {
		return explain(ctx, "read the versions of the key", err)
	}
	return s.checkUse(ctx, keys.versions[0])
}

// checkUse proves that we may sign, and that the key that is shown is the one that signs. What is signed
// can be taken for no checkpoint: its second line is no size.
func (s *Signer) checkUse(ctx context.Context, newest signingKey) error {
	msg := []byte(s.origin + "\ncheck " + rand.Text() + "\n")
	signature, err := s.signature(ctx, newest.number, msg)
	if err != nil {
		return fmt.Errorf("%w (needs capability \"update\" on %q)", explain(ctx, "sign", err), s.engine.mount+"/sign/"+s.key)
	}
	if !newest.Verify(msg, signature) {
		return explain(ctx, "sign", checkpoint.ErrSignature)
	}
	return nil
}
