package keyring

import (
	"context"
	"errors"
	"sync"
	"time"
)

// loadTimeout bounds a load from the store and the KEK, with the successor that it
// may have to make.
const loadTimeout = 5 * time.Second

// ErrClosed is returned by a Ring that was closed.
var ErrClosed = errors.New("key ring closed")

// lifetime runs tasks beside the calls that caused them, and ends with the ring.
// A task outlives the caller's context on purpose: others wait for it too.
type lifetime struct {
	derive func() (context.Context, context.CancelFunc)
	cancel context.CancelFunc
	over   <-chan struct{} // closed by close

	mu     sync.Mutex // orders Go before the Wait of close
	closed bool
	tasks  sync.WaitGroup
}

func newLifetime() *lifetime {
	base, cancel := context.WithCancel(context.Background())
	return &lifetime{cancel: cancel, over: base.Done(), derive: func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(base, loadTimeout)
	}}
}

// run starts task, with a context that ends after loadTimeout or at close.
func (l *lifetime) run(task func(context.Context)) error {
	return l.start(func() {
		ctx, cancel := l.derive()
		defer cancel()
		task(ctx)
	})
}

// every runs task at each interval until close.
func (l *lifetime) every(interval time.Duration, task func()) error {
	return l.start(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				task()
			case <-l.over:
				return
			}
		}
	})
}

func (l *lifetime) start(task func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	l.tasks.Go(task)
	return nil
}

// close cancels all tasks and returns when the last one has ended.
func (l *lifetime) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.tasks.Wait()
}
