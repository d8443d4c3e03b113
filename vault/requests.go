package vault

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/cardvault/cardvault/crypto/envelope"
)

const labelRequest = "cardvault/request/v1"

// repeatable gives the change the caller's request id. The digest of all that the
// request asks for tells a repetition from another request with the same id; in
// the place of a PAN it has the fingerprint. The empty id is none: such a write
// cannot be repeated.
func (c *change) repeatable(id string, g grant, now time.Time, asked ...[]byte) error {
	if id == "" {
		return nil
	}
	parsed, err := parseID("request_id", id, ErrRequestID)
	if err != nil {
		return err
	}
	parts := append([][]byte{[]byte(g.entry.Action), []byte(g.caller.SPIFFE)}, asked...)
	sum := sha256.Sum256(envelope.Bind(labelRequest, parts...))
	c.request = &RequestRow{ID: parsed, Digest: [16]byte(sum[:16]), Created: now}
	return nil
}

// bytes of what a request asks for, for its digest.

func (m *Month) bytes() []byte {
	if m == nil {
		return nil
	}
	return binary.AppendVarint(binary.AppendVarint(nil, int64(m.Year)), int64(m.Month))
}

func (o TokenOptions) bytes() []byte {
	limits := []byte{byte(o.Format), flag(o.KeepLastFour), flag(o.SingleUse)} //nolint:gosec // few formats
	parts := [][]byte{binary.AppendVarint(limits, int64(o.TTL))}
	for _, name := range o.Principals {
		parts = append(parts, []byte(name))
	}
	return envelope.Bind("options", parts...)
}
