package transittest_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"
)

func TestRestartKeepsAddressTokenAndKeys(t *testing.T) {
	server := startWithKey(t)
	client, address, token := server.Client(t), server.Address, server.RootToken
	ciphertext := encrypt(t, client, "c")

	server.Restart(t)
	if server.Address != address || server.RootToken != token {
		t.Fatalf("address %s, was %s; same token: %t", server.Address, address, server.RootToken == token)
	}
	opens(t, client, ciphertext, "c")
}

func TestStoppedServerRefusesConnectionsUntilRestarted(t *testing.T) {
	server := startWithKey(t)
	client := server.Client(t)
	ciphertext := encrypt(t, client, "c")

	server.Stop(t)
	server.Stop(t) // and again, as the end of the test will
	if _, err := decrypt(t, client, ciphertext, "c"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("error = %v; want connection refused", err)
	}

	server.Restart(t)
	opens(t, client, ciphertext, "c")
}

func TestPausedServerIsSilentUntilResumed(t *testing.T) {
	server := startWithKey(t)
	client := server.Client(t)
	ciphertext := encrypt(t, client, "c")

	for range 3 {
		server.Pause(t)
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := client.Sys().HealthWithContext(short)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error = %v; want none but the deadline", err)
		}
		server.Resume(t)
		opens(t, client, ciphertext, "c")
	}
}

func TestPausedServerAnswersWhatItWasSentOnceResumed(t *testing.T) {
	server := startWithKey(t)
	client := server.Client(t)

	server.Pause(t)
	answered := make(chan error, 1)
	go func() {
		_, err := client.Sys().HealthWithContext(t.Context())
		answered <- err
	}()
	server.Resume(t)
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
}

func TestPausedServerCanBeStopped(t *testing.T) {
	server := startWithKey(t)
	server.Pause(t)
	server.Stop(t)
}
