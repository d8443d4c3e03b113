package witness

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/net/netutil"
)

// Bounds of what a stranger can take of the server: anyone may connect, and only
// the log's signature on a checkpoint tells who asks.
const (
	maxHeader     = 16 << 10
	maxConns      = 512
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	answerTimeout = 20 * time.Second
	// idleTimeout lets logs keep their connections between checkpoints: "Clients
	// SHOULD use, and witnesses SHOULD support, HTTP keep-alive HTTP connections".
	idleTimeout = 2 * time.Minute
	// drainTimeout bounds what is under way when the server stops.
	drainTimeout = 5 * time.Second
)

// Serve answers on a listener, which it closes, until ctx ends; requests under way
// are answered first.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		err := server.Shutdown(drain)
		if err != nil {
			err = server.Close()
		}
		stopped <- err
	})
	err := server.Serve(netutil.LimitListener(l, maxConns))
	if stop() || !errors.Is(err, http.ErrServerClosed) {
		return errors.Join(err, server.Close())
	}
	return <-stopped
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Server) route() {
	s.mux = http.NewServeMux()
	// "POST <submission prefix>/add-checkpoint. The request MUST be an HTTP POST."
	s.mux.HandleFunc("POST /add-checkpoint", s.addCheckpoint)
	// "GET <monitoring prefix>/<origin hash>/checkpoint [...] The origin hash is the
	// SHA-256 hash of the log's origin, hex encoded, in lowercase."
	for origin := range s.logs {
		s.mux.HandleFunc("GET "+monitorPath(origin), func(w http.ResponseWriter, r *http.Request) { s.showCheckpoint(w, r, origin) })
	}
}

// monitorPath is where a witness shows the last checkpoint of a log.
func monitorPath(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return "/" + hex.EncodeToString(sum[:]) + "/checkpoint"
}

func (s *Server) addCheckpoint(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		http.Error(w, "request too long", http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		http.Error(w, "request cut short", http.StatusBadRequest)
		return
	}
	line, err := s.add(r.Context(), body)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	// "respond with a "200 Success" HTTP status code. The response body MUST be a
	// sequence of one or more note signature lines".
	answer(w, http.StatusOK, "text/plain; charset=utf-8", line)
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	refusal, ok := errors.AsType[*refusalError](err)
	switch {
	case !ok:
		s.log.ErrorContext(r.Context(), "cannot cosign", slog.Any("error", err))
		http.Error(w, "internal", http.StatusInternalServerError)
	case refusal.status == http.StatusConflict:
		// "The response body MUST consist of the tree size of the latest cosigned
		// checkpoint in decimal, followed by a newline (U+000A). The response MUST have a
		// Content-Type of text/x.tlog.size."
		answer(w, refusal.status, sizeType, strconv.FormatInt(refusal.size, 10)+"\n")
	default:
		http.Error(w, refusal.why, refusal.status)
	}
}

// sizeType is the media type of the size in a 409.
const sizeType = "text/x.tlog.size"

func (s *Server) showCheckpoint(w http.ResponseWriter, _ *http.Request, origin string) {
	checkpoint, ok := s.state.Latest(origin)
	if !ok {
		// "If the witness has never cosigned a checkpoint for that log, it MUST respond
		// with a "404 Not Found" HTTP status code instead."
		http.Error(w, "no checkpoint of that log", http.StatusNotFound)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	answer(w, http.StatusOK, "text/plain; charset=utf-8", string(checkpoint))
}

// answer writes a response whose length is known.
func answer(w http.ResponseWriter, status int, mediaType, body string) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a caller who is gone asks again
}
