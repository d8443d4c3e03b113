package witness_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// listenAndServe runs a witness as its own process would; stop ends it and returns
// what Serve does.
func listenAndServe(t *testing.T, s *site) (url string, stop func() error) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	return "http://" + l.Addr().String(), func() error {
		cancel()
		return <-done
	}
}

func TestServe(t *testing.T) {
	l := newTree(t, origin, 20)
	s := newSite(t, l)
	url, stop := listenAndServe(t, s)
	client := clientOf(t, l, "witness w "+s.key.VerifierKey()+" "+url+"\nquorum w\n")
	cosigned, err := client.Cosign(t.Context(), l.checkpoint(t, 20), 20, l.prover(20))
	must(t, err)
	latest, err := client.Latest(t.Context(), origin)
	must(t, err)
	if len(latest) != 1 || !bytes.Equal(latest[0], cosigned) {
		t.Errorf("cosigned %s, latest %s", cosigned, latest)
	}
	client.Close()
	must(t, stop())
	if _, err := client.Latest(t.Context(), origin); err == nil {
		t.Error("it answers after its end")
	}
}

// TestServeLimits: what a stranger sends beyond the limits is not read.
func TestServeLimits(t *testing.T) {
	s := newSite(t, newTree(t, origin, 1))
	url, stop := listenAndServe(t, s)
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	send := func(header string, body io.Reader) int {
		t.Helper()
		ask, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/add-checkpoint", body)
		must(t, err)
		ask.Header.Set("X-Long", header)
		answer, err := web.Do(ask)
		must(t, err)
		must(t, answer.Body.Close())
		return answer.StatusCode
	}
	if got := send(strings.Repeat("x", 64<<10), http.NoBody); got != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("long header: %d", got)
	}
	if got := send("", io.LimitReader(endless{}, 1<<20)); got != http.StatusRequestEntityTooLarge {
		t.Errorf("long body: %d", got)
	}
	must(t, stop())
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestServeFails: a listener that fails ends Serve with its error.
func TestServeFails(t *testing.T) {
	s := newSite(t, newTree(t, origin, 1))
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	if err := s.Serve(t.Context(), l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}
