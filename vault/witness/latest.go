package witness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/vault/audit"
)

// Latest returns the last checkpoint of the log that each witness has cosigned,
// verified by the keys of both; of witnesses that have none, nothing. The error names
// the witnesses that could not be asked, and comes with the checkpoints of the
// others.
func (c *Client) Latest(ctx context.Context, origin string) ([][]byte, error) {
	keys, err := c.keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("keys of the log: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	found, failed := make([][]byte, len(c.peers)), make([]error, len(c.peers))
	var all sync.WaitGroup
	for i, p := range c.peers {
		all.Go(func() {
			_, text, err := c.latest(ctx, p, origin, keys)
			if err != nil && !errors.Is(err, errMissing) {
				failed[i] = fmt.Errorf("witness %s: %w", p.key.Name(), err)
			}
			found[i] = text
		})
	}
	all.Wait()
	return slices.DeleteFunc(found, func(checkpoint []byte) bool { return checkpoint == nil }), errors.Join(failed...)
}

// latest fetches and verifies what one witness shows.
func (c *Client) latest(ctx context.Context, p *peer, origin string, keys []note.Verifier) (audit.Checkpoint, []byte, error) {
	text, err := p.get(ctx, c.web, origin)
	if err != nil {
		return audit.Checkpoint{}, nil, err
	}
	if _, err := openCheckpoint(text, p.key); err != nil {
		return audit.Checkpoint{}, nil, fmt.Errorf("shows a checkpoint that its key has not cosigned: %w", err)
	}
	seen, err := openCheckpoint(text, keys...)
	if err != nil {
		return audit.Checkpoint{}, nil, fmt.Errorf("shows a checkpoint that the log has not signed: %w", err)
	}
	if seen.Origin != origin {
		return audit.Checkpoint{}, nil, errors.New("shows a checkpoint of another log")
	}
	return seen.Checkpoint, text, nil
}
