package vault

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"iter"
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
	// End is before which entries end; zero: at the last.
	End time.Time
	// Entries that say exactly this; empty: any.
	Principal, CardID, Action, Decision string
}

// maxScan bounds the entries that one page is searched for, so that a filter which
// little passes does not read a whole log in one call.
const maxScan = 10_000

// ListEntries returns a page of the tenant's audit entries in order of time, and
// the token of the next page, empty on the last. With a filter a page may be short
// and have a next one: it ends where maxScan entries were looked at.
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

// entryPage reads entries from the page's position on. The next page begins with
// the first one that it did not look at.
func (v *Vault) entryPage(ctx context.Context, tenant string, q EntryQuery) (page []audit.Record, next string, err error) {
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
	passes, chunk, err := q.filter(size)
	if err != nil {
		return nil, "", err
	}
	seen := 0
	for r, err := range v.entriesFrom(ctx, tenant, from, chunk) {
		switch {
		case err != nil:
			return nil, "", err
		case !q.End.IsZero() && !r.Time.Before(q.End):
			return page, "", nil
		case len(page) == size || seen == maxScan:
			return page, EntryPosition{r.Time, r.Replica, r.Number}.text(), nil
		}
		seen++
		passed, err := passes(r)
		if err != nil {
			return nil, "", err
		}
		if passed {
			page = append(page, r)
		}
	}
	return page, "", nil
}

// entriesFrom returns the tenant's entries from a position on, read chunk by chunk.
func (v *Vault) entriesFrom(ctx context.Context, tenant string, from EntryPosition, chunk int) iter.Seq2[audit.Record, error] {
	return func(yield func(audit.Record, error) bool) {
		for {
			records, err := v.store.ListEntries(ctx, tenant, from, chunk)
			if err != nil {
				yield(audit.Record{}, v.storeError(ctx, err))
				return
			}
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
				from = EntryPosition{r.Time, r.Replica, r.Number + 1}
			}
			if len(records) < chunk {
				return
			}
		}
	}
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
