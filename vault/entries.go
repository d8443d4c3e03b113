package vault

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/audit"
)

// EntryQuery asks for a page of the tenant's audit entries.
type EntryQuery struct {
	PageSize  int
	PageToken string
	// Start is where the first page begins; zero: at the first entry.
	Start time.Time
}

// ListEntries returns a page of the tenant's audit entries in order of time, and
// the token of the next page, empty on the last.
func (v *Vault) ListEntries(ctx context.Context, c Caller, q EntryQuery) ([]audit.Record, string, Receipt, error) {
	g, err := v.guard(ctx, c, access.ListEntries, about{})
	if err != nil {
		return nil, "", Receipt{}, err
	}
	ch := g.change()
	records, next, err := v.entryPage(ctx, ch.tenant, q)
	ch.entry.Count = len(records)
	receipt, err := v.finish(ctx, ch, err)
	if err != nil {
		return nil, "", receipt, err
	}
	return records, next, receipt, nil
}

// entryPage reads a page and one entry more, at which the next page begins.
func (v *Vault) entryPage(ctx context.Context, tenant string, q EntryQuery) ([]audit.Record, string, error) {
	size, err := pageSize(q.PageSize)
	if err != nil {
		return nil, "", err
	}
	from := EntryPosition{Time: q.Start}
	if q.PageToken != "" {
		if from, err = parsePosition(q.PageToken); err != nil {
			return nil, "", err
		}
	}
	records, err := v.store.ListEntries(ctx, tenant, from, size+1)
	if err != nil {
		return nil, "", v.storeError(ctx, err)
	}
	if len(records) <= size {
		return records, "", nil
	}
	next := records[size]
	return records[:size], EntryPosition{next.Time, next.Replica, next.Number}.text(), nil
}

// A position's text is base64url of time in microseconds, replica and number.

func (p EntryPosition) text() string {
	b := binary.BigEndian.AppendUint64(nil, uint64(p.Time.UnixMicro()))
	b = binary.BigEndian.AppendUint64(append(b, p.Replica[:]...), uint64(p.Number)) //nolint:gosec // numbers count from 0
	return base64.RawURLEncoding.EncodeToString(b)
}

func parsePosition(text string) (EntryPosition, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != 32 {
		return EntryPosition{}, field("page_token", text, ErrPageToken)
	}
	return EntryPosition{
		Time:    time.UnixMicro(int64(binary.BigEndian.Uint64(b))).UTC(), //nolint:gosec // bytes of the same width
		Replica: uuid.UUID(b[8:24]),
		Number:  int64(binary.BigEndian.Uint64(b[24:])), //nolint:gosec // bytes of the same width
	}, nil
}
