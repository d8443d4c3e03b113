package transit

import (
	"context"
	"time"

	"github.com/hashicorp/vault/api"
)

// Pauses between logins that are nobody's call.
const (
	loginPause    = time.Second
	maxLoginPause = 30 * time.Second
)

// keep renews the token in use for as long as the server lets it live, and then logs
// in again ahead of its end.
func (s *session) keep(ctx context.Context) {
	var (
		present login
		ended   <-chan struct{} // closed when the present token is not renewed any more
		stop    = func() {}
		again   <-chan time.Time // when to log in
		pause   = loginPause
	)
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return
		case present = <-s.logins:
			stop()
			ended, stop = watch(present)
			again, pause = nil, loginPause
		case <-ended:
			// Not at once: a token that ends as soon as it is given must not become a storm.
			ended, again = nil, time.After(pause)
		case <-again:
			again = nil
			if _, err := s.relogin(ctx, present.client); err != nil {
				pause = min(2*pause, maxLoginPause)
				again = time.After(pause)
			}
		}
	}
}

// watch renews a token until its end is near. ended is closed then; stop ends it
// before.
func watch(l login) (ended <-chan struct{}, stop func()) {
	if l.secret.Auth.LeaseDuration <= 0 {
		return nil, func() {} // lives for ever, or for as long as someone else says
	}
	watcher, err := l.client.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: l.secret})
	if err != nil {
		return nil, func() {} // no secret, which it has
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		watcher.Start()
	}()
	return done, func() {
		watcher.Stop()
		<-done
	}
}
