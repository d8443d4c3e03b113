package transit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/vault/api"
)

// session keeps us logged in. At most one login runs at a time, and all who need it
// share its outcome.
type session struct {
	anonymous *api.Client // without a token
	method    method
	logins    chan login // to keep, the newest only

	stop  context.CancelFunc
	begin func(task func(context.Context)) // runs task with a context that close ends
	tasks sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	current *api.Client // with the token in use; nil before the first login
	attempt *attempt    // under way; nil: none
}

// login is a token in use.
type login struct {
	client *api.Client
	secret *api.Secret
}

// attempt is a login under way. client and err are set before done is closed.
type attempt struct {
	done   chan struct{}
	client *api.Client
	err    error
}

var (
	errClosed  = errors.New("closed")
	errNoToken = errors.New("login gave no token")
)

func newSession(anonymous *api.Client, m method) *session {
	ctx, stop := context.WithCancel(context.Background())
	s := &session{anonymous: anonymous, method: m, logins: make(chan login, 1), stop: stop}
	s.begin = func(task func(context.Context)) { s.tasks.Go(func() { task(ctx) }) }
	s.begin(s.keep)
	return s
}

// close ends renewal and logins, and waits for them.
func (s *session) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.tasks.Wait()
}

// do makes a call with the token in use. A token that has expired or was revoked is
// replaced, and the call is made once more.
func (s *session) do(ctx context.Context, call func(context.Context, *api.Client) error) error {
	client, err := s.client(ctx)
	if err != nil {
		return err
	}
	refusal := answered(call(ctx, client))
	if !forbidden(refusal) {
		return refusal
	}
	// The server says no alike to a token that is no more and to one that may not. It
	// is asked which, since a login for each refusal would heap up tokens there.
	_, err = client.Auth().Token().LookupSelfWithContext(ctx)
	if err = answered(err); !forbidden(err) {
		return cmp.Or(err, refusal)
	}
	if client, err = s.relogin(ctx, client); err != nil {
		return err
	}
	return answered(call(ctx, client))
}

// client returns a client with the token to use.
func (s *session) client(ctx context.Context) (*api.Client, error) {
	s.mu.Lock()
	client := s.current
	s.mu.Unlock()
	if client != nil && (s.method.replaced == nil || !s.method.replaced(client.Token())) {
		return client, nil
	}
	return s.relogin(ctx, client)
}

// relogin returns a client with another token than that of used: the one that is in
// use by now, or that of a new login.
func (s *session) relogin(ctx context.Context, used *api.Client) (*api.Client, error) {
	a := s.join(used)
	select {
	case <-a.done:
		return a.client, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// join returns the login under way, which it starts if used is still in use.
func (s *session) join(used *api.Client) *attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &attempt{done: make(chan struct{})}
	switch {
	case s.closed:
		a.err = errClosed
		close(a.done)
	case s.attempt != nil:
		return s.attempt
	case s.current != used:
		a.client = s.current
		close(a.done)
	default:
		s.attempt = a
		// Not with the caller's context: others wait for this login too.
		s.begin(func(ctx context.Context) { s.login(ctx, a) })
	}
	return a
}

// login logs in and settles a.
func (s *session) login(ctx context.Context, a *attempt) {
	defer close(a.done)
	secret, err := s.method.login(ctx, s.anonymous)
	switch {
	case err != nil:
		a.err = fmt.Errorf("logging in by %s: %w", s.method.name, answered(err))
	case secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "":
		a.err = fmt.Errorf("logging in by %s: %w", s.method.name, errNoToken)
	default:
		a.client = withToken(s.anonymous, secret.Auth.ClientToken)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempt = nil
	if a.err != nil {
		return
	}
	s.current = a.client
	select {
	case <-s.logins: // a login that was not even looked at
	default:
	}
	s.logins <- login{client: a.client, secret: secret} // never blocks: this is the one sender
}
