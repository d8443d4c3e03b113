package transittest

import "testing"

func TestServerEndsWithItsInput(t *testing.T) {
	server := Start(t)
	// What the kernel does to the pipe when the test process dies.
	if err := server.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := server.process.Wait(); err != nil {
		t.Errorf("server ended with %v; want status 0", err)
	}
	server.process = nil
}
