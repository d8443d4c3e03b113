package transittest

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"net"
	"testing"
)

// loopbackAddress returns a free address to listen on. Its port lies below those that systems give to outgoing
// connections (from 32768 on Linux, 49152 elsewhere), so that nothing is given it while a restart leaves it free.
func loopbackAddress(t testing.TB) string {
	t.Helper()
	const first, count, attempts = 15000, 15000, 50
	var failure error
	for range attempts {
		offset, err := rand.Int(rand.Reader, big.NewInt(count))
		if err != nil {
			t.Fatal(err)
		}
		address := fmt.Sprintf("127.0.0.1:%d", first+offset.Int64())
		if failure = tryListen(t, address); failure == nil {
			return address
		}
	}
	t.Fatalf("no free port in %d attempts: %v", attempts, failure)
	return ""
}

func tryListen(t testing.TB, address string) error {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		return err
	}
	return listener.Close()
}
