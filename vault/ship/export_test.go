package ship

import (
	"context"
	"net"
	"time"
)

// Hasten has a Shipper not wait for anything.
func (s *Shipper) Hasten() {
	s.pace = pace{entries: MaxEntries, retry: time.Millisecond, slowest: 10 * time.Millisecond, delivery: time.Minute, look: time.Millisecond}
}

// Interrupt calls f before each step of saving a cursor.
func (s *Shipper) Interrupt(f func(sink, step string) error) {
	for _, follower := range s.followers {
		follower.cursor.interrupt = func(step string) error { return f(follower.name, step) }
	}
}

// LagOf returns how far a sink is behind, and whether it is failing.
func (s *Shipper) LagOf(name string) (Lag, bool) {
	for _, f := range s.followers {
		if f.name == name {
			return s.lag(f), f.failures.failing()
		}
	}
	return Lag{}, false
}

// MaxEntries is the most of a window of a Shipper that was hastened.
const MaxEntries = 50

// Size returns how long the log is known to be.
func (s *Shipper) Size() int64 { return s.size.Load() }

// AllAcknowledged is what a syslog delivery ends with.
func AllAcknowledged(ctx context.Context, conn *net.TCPConn) error { return allAcknowledged(ctx, conn) }
