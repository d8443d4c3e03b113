package witness

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// ClientConfig is what a client is made of. All of it is required but CAs.
type ClientConfig struct {
	Policy Policy
	// Keys returns the keys that the log's checkpoints may be signed with, those of
	// the past included.
	Keys func(context.Context) ([]note.Verifier, error)
	// CAs vouch for the witnesses; nil: those of the system.
	CAs *x509.CertPool
	// Timeout bounds what one witness is asked for one checkpoint.
	Timeout time.Duration
	Log     *slog.Logger
}

// Client asks the witnesses of a policy for cosignatures on the checkpoints of one
// log. It is safe for concurrent use.
type Client struct {
	policy  Policy
	keys    func(context.Context) ([]note.Verifier, error)
	web     *http.Client
	timeout time.Duration
	log     *slog.Logger
	peers   []*peer
	asking  sync.WaitGroup

	mu sync.Mutex
	// forked is what a witness found that answered after its call had returned.
	forked error
}

// peer is a witness as the client knows it.
type peer struct {
	member
	// turn is held by the one call at a time that asks the witness. What follows is
	// its.
	turn chan struct{}
	// size of the last checkpoint that the witness is known to have.
	size    int64
	failing bool
}

// NewClient returns a client. It connects to nobody yet.
func NewClient(cfg ClientConfig) (*Client, error) {
	if len(cfg.Policy.members) == 0 || cfg.Keys == nil || cfg.Timeout <= 0 || cfg.Log == nil {
		return nil, errors.New("witness: an incomplete configuration")
	}
	c := &Client{policy: cfg.Policy, keys: cfg.Keys, timeout: cfg.Timeout, log: cfg.Log}
	c.web = &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			TLSClientConfig:     &tls.Config{RootCAs: cfg.CAs, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 1,
			IdleConnTimeout:     time.Minute,
		},
		// A witness is where the policy says: a redirect could lead to plain HTTP.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, m := range cfg.Policy.members {
		c.peers = append(c.peers, &peer{member: m, turn: make(chan struct{}, 1)})
	}
	return c, nil
}

// Close waits until no witness is asked any more, which takes no longer than the
// timeout, and ends the connections.
func (c *Client) Close() {
	c.asking.Wait()
	c.web.CloseIdleConnections()
}

// outcome is what became of asking one witness.
type outcome struct {
	peer  *peer
	lines []string
	err   error
}

// Cosign asks all witnesses at once for a cosignature on a checkpoint of this size,
// and returns the checkpoint with theirs appended as soon as there is a quorum, or ctx
// is done. prove returns the proof that the checkpoint extends a smaller tree of the
// log; it is called by one at a time, and not after Cosign has returned.
//
// Witnesses that the quorum did not wait for are still asked to the end: they keep up,
// and what they have seen is not lost. A ForkedError that one of them finds is returned
// by the next call.
//
// The error is ErrForked or ErrAhead, as a ForkedError, or ErrNoQuorum.
func (c *Client) Cosign(ctx context.Context, checkpoint []byte, size int64, prove func(old int64) (tlog.TreeProof, error)) ([]byte, error) {
	if err := c.foundBefore(); err != nil {
		return nil, err
	}
	keys, err := c.keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("keys of the log: %w", err)
	}
	ours, err := openCheckpoint(checkpoint, keys...)
	if err != nil || ours.Size != size {
		return nil, errors.Join(errors.New("not a checkpoint of this log and size"), err)
	}
	q := &question{client: c, keys: keys, note: checkpoint, ours: ours, proofs: newProver(prove)}
	defer q.proofs.close()
	// What waits for its turn with a witness gives up when this call returns: there
	// will be a newer checkpoint to ask for.
	waiting, done := context.WithCancel(ctx)
	defer done()
	answers := make(chan outcome, len(c.peers))
	for _, p := range c.peers {
		c.asking.Go(func() { answers <- c.ask(waiting, p, q) })
	}
	return c.gather(ctx, checkpoint, answers)
}

// gather waits for a quorum.
func (c *Client) gather(ctx context.Context, checkpoint []byte, answers <-chan outcome) ([]byte, error) {
	var lines []string
	missing := make(map[string]error, len(c.peers))
	for _, p := range c.peers {
		missing[p.key.Name()] = errSlow
	}
	for range c.peers {
		var a outcome
		select {
		case a = <-answers:
		case <-ctx.Done():
			return nil, noQuorum(missing)
		}
		missing[a.peer.key.Name()] = a.err
		if _, forked := errors.AsType[*ForkedError](a.err); forked {
			_ = c.foundBefore() // told now
			return nil, a.err
		}
		if a.err != nil {
			continue
		}
		lines = append(lines, a.lines...)
		slices.Sort(lines)
		cosigned := append(slices.Clone(checkpoint), strings.Join(lines, "")...)
		if c.policy.quorum.Satisfied(cosigned) {
			return cosigned, nil
		}
	}
	return nil, noQuorum(missing)
}

// errSlow is why a witness has not cosigned that has not answered.
var errSlow = errors.New("has not answered in time")

func noQuorum(missing map[string]error) error {
	var why []error
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		if err := missing[name]; err != nil {
			why = append(why, fmt.Errorf("%s: %w", name, err))
		}
	}
	return fmt.Errorf("%w: %w", ErrNoQuorum, errors.Join(why...))
}

// ask has a turn with one witness.
func (c *Client) ask(waiting context.Context, p *peer, q *question) outcome {
	// The turn is not cut short by the end of the call, only by its own timeout.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(waiting), c.timeout)
	defer cancel()
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-waiting.Done():
		return outcome{peer: p, err: errSlow}
	case <-ctx.Done():
		return outcome{peer: p, err: errSlow}
	}
	lines, err := q.put(ctx, p)
	c.tell(ctx, p, err)
	return outcome{peer: p, lines: lines, err: err}
}

// tell logs when a witness begins to fail and when it is back, and keeps what it
// has found of a fork.
func (c *Client) tell(ctx context.Context, p *peer, err error) {
	name := slog.String("witness", p.key.Name())
	switch {
	case err != nil && !p.failing:
		c.log.WarnContext(ctx, "a witness does not cosign", name, slog.Any("error", err))
	case err == nil && p.failing:
		c.log.InfoContext(ctx, "a witness cosigns again", name)
	}
	p.failing = err != nil
	if _, forked := errors.AsType[*ForkedError](err); forked {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.forked = err
	}
}

// foundBefore returns, once, what a witness has found since the last call.
func (c *Client) foundBefore() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.forked
	c.forked = nil
	return err
}

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
