package vault

import (
	"context"
	"iter"

	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/audit"
)

// LogQuery asks for entries of the whole log.
type LogQuery struct {
	// Start is the first index.
	Start int64
	// End is the index to stop before; 0: where the newest checkpoint ends, or never
	// where Follow is set.
	End int64
	// Follow waits for what is not there yet.
	Follow bool
}

// ReadLog returns the entries of every tenant in order of index, as far as
// checkpoints cover them. That it was called is one entry of the log; reading on
// is none. The sequence ends with an error where it cannot go on, and as soon as
// policy no longer allows it or the audit log is found broken.
func (v *Vault) ReadLog(ctx context.Context, c Caller, q LogQuery) (iter.Seq2[audit.Batch, error], Receipt, error) {
	g, err := v.guard(ctx, c, access.ReadLog, about{})
	if err != nil {
		return nil, Receipt{}, err
	}
	ch := g.change()
	ch.entry.Index = max(q.Start, 0)
	switch {
	case q.Start < 0 || q.End < 0 || q.End > 0 && q.End < q.Start:
		err = ErrLogRange
	case q.End == 0 && !q.Follow:
		var newest audit.Checkpoint
		_, newest, err = v.checkpoint(ctx)
		q.End = newest.Size
	}
	receipt, err := v.finish(ctx, ch, err)
	if err != nil {
		return nil, receipt, err
	}
	return v.logBatches(ctx, c, q), receipt, nil
}

// logBatches looks before each batch whether the caller still may have it: a stream
// can last for as long as a connection.
func (v *Vault) logBatches(ctx context.Context, c Caller, q LogQuery) iter.Seq2[audit.Batch, error] {
	return func(yield func(audit.Batch, error) bool) {
		for batch, err := range v.ledger.Read(ctx, q.Start, q.End, q.Follow) {
			if err = v.mayReadOn(ctx, c, err); err != nil {
				yield(audit.Batch{}, err)
				return
			}
			if !yield(batch, nil) {
				return
			}
		}
	}
}

func (v *Vault) mayReadOn(ctx context.Context, c Caller, err error) error {
	if v.ledger.Err() != nil {
		return ErrAuditLog
	}
	if err != nil {
		return v.ledgerError(ctx, err)
	}
	g, denied := v.decide(c, access.ReadLog, about{})
	if denied != nil {
		return v.refuse(ctx, g.entry, denied)
	}
	return nil
}
