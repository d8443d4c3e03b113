package ship

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// allAcknowledged waits until the other machine has acknowledged every byte that
// was written to a connection. One that it answers with a reset stays
// unacknowledged.
func allAcknowledged(ctx context.Context, conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	for {
		left, broken := 0, 0
		var ioctl, option error
		err := raw.Control(func(fd uintptr) {
			left, ioctl = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
			broken, option = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		})
		switch {
		case errors.Join(err, ioctl, option) != nil:
			return errors.Join(err, ioctl, option)
		case left == 0:
			return nil
		case broken != 0:
			return fmt.Errorf("the collector left with %d bytes on the way: %w", left, unix.Errno(broken))
		case ctx.Err() != nil:
			return fmt.Errorf("%d bytes were not acknowledged: %w", left, ctx.Err())
		}
		pause(ctx, 10*time.Millisecond) // the kernel tells nobody when they are
	}
}
