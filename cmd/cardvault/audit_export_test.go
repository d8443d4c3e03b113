package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/archive"
	"github.com/cardvault/cardvault/vault/audit"
)

// exportServer has a log that grows, and streams that end early.
type exportServer struct {
	cardvaultv1.UnimplementedAuditServiceServer

	mu    sync.Mutex
	log   verifiedLog
	size  int
	roots map[int][]byte // checkpoints
	// cut ends each stream after so many entries; 0: at the checkpoint.
	cut int
	// grown is closed when the log has grown.
	grown  chan struct{}
	client *session
}

func newExportServer(t *testing.T, l verifiedLog, size int, more ...int) *exportServer {
	t.Helper()
	s := &exportServer{log: l, size: size, roots: map[int][]byte{}, grown: make(chan struct{})}
	for _, n := range append(more, size) {
		s.roots[n] = l.checkpoint(t, n)
	}
	s.client = s.serve(t)
	return s
}

func (s *exportServer) grow(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = size
	close(s.grown)
	s.grown = make(chan struct{})
}

func (s *exportServer) now() (size int, checkpoint []byte, grown chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size, s.roots[s.size], s.grown
}

func (s *exportServer) GetCheckpoint(context.Context, *cardvaultv1.GetCheckpointRequest) (*cardvaultv1.GetCheckpointResponse, error) {
	_, checkpoint, _ := s.now()
	return &cardvaultv1.GetCheckpointResponse{Checkpoint: checkpoint}, nil
}

func (s *exportServer) ReadLog(r *cardvaultv1.ReadLogRequest, stream grpc.ServerStreamingServer[cardvaultv1.ReadLogResponse]) error {
	next, sent := int(r.GetStartIndex()), 0
	for {
		size, checkpoint, grown := s.now()
		if err := stream.Send(&cardvaultv1.ReadLogResponse{Checkpoint: checkpoint}); err != nil {
			return err
		}
		for ; next < size; next++ {
			if sent++; s.cut > 0 && sent > s.cut {
				return status.Error(codes.Unavailable, "the connection has its age")
			}
			entry := &cardvaultv1.LogEntry{Index: int64(next), Body: s.log.bodies[next]}
			if err := stream.Send(&cardvaultv1.ReadLogResponse{Entries: []*cardvaultv1.LogEntry{entry}}); err != nil {
				return err
			}
		}
		if !r.GetFollow() {
			return nil
		}
		select {
		case <-grown:
		case <-stream.Context().Done():
			return nil
		}
	}
}

// serve answers on a loopback address.
func (s *exportServer) serve(t *testing.T) *session {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	cardvaultv1.RegisterAuditServiceServer(server, s)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &session{conn: conn, timeout: time.Minute}
}

// export runs an export over the folder.
func (s *exportServer) export(ctx context.Context, t *testing.T, dir string, follow bool) error {
	t.Helper()
	e, err := openExport(dir, s.log.vkey)
	if err != nil {
		return exportError(dir, err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	e.session, e.follow, e.told = s.client, follow, io.Discard
	if err := e.run(ctx); err != nil {
		return exportError(dir, err)
	}
	return nil
}

// wantFolder fails unless the folder is the log at a size, with nothing wrong.
func (s *exportServer) wantFolder(t *testing.T, dir string, size int64) {
	t.Helper()
	keys, err := audit.ParseKeys(s.log.vkey)
	if err != nil {
		t.Fatal(err)
	}
	r, err := archive.Verify(t.Context(), os.DirFS(dir), archive.Options{Keys: keys})
	if err != nil || !r.Good() || r.Size != size {
		t.Fatalf("%d entries, %v, %v; want %d", r.Size, r.Findings, err, size)
	}
}

func TestExportGoesOnWhereItEnded(t *testing.T) {
	l := newVerifiedLog(t, someEntries(700)...)
	s := newExportServer(t, l, 300, 700)
	dir := filepath.Join(t.TempDir(), "log")
	for range 2 { // the second time there is nothing new
		if err := s.export(t.Context(), t, dir, false); err != nil {
			t.Fatal(err)
		}
		s.wantFolder(t, dir, 300)
	}
	s.grow(700)
	s.cut = 90
	if err := s.export(t.Context(), t, dir, false); err != nil {
		t.Fatal(err)
	}
	s.wantFolder(t, dir, 700)
}

func TestExportFollows(t *testing.T) {
	l := newVerifiedLog(t, someEntries(300)...)
	s := newExportServer(t, l, 1, 257, 300)
	dir := filepath.Join(t.TempDir(), "log")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.export(ctx, t, dir, true) }()
	for _, size := range []int{257, 300} {
		s.grow(size)
		checkpoint := s.roots[size]
		for {
			if now, err := os.ReadFile(filepath.Join(dir, "checkpoint")); err == nil && string(now) == string(checkpoint) {
				break
			}
			select {
			case err := <-done:
				t.Fatalf("it ended: %v", err)
			case <-time.After(time.Millisecond):
			}
		}
	}
	// Another export is turned away meanwhile.
	if told := asExit(s.export(t.Context(), t, dir, false)); told.code != exitFailed || told.next == "" {
		t.Errorf("a second export: %v", told)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("interrupted: %v", err)
	}
	s.wantFolder(t, dir, 300)
}

func TestExportRefuses(t *testing.T) {
	l := newVerifiedLog(t, someEntries(300)...)
	fork := newVerifiedLog(t, append([]audit.Entry{{Action: "Nothing"}}, someEntries(299)...)...)
	fork.signer, fork.vkey = l.signer, l.vkey
	stranger := newVerifiedLog(t, someEntries(300)...)
	short := newExportServer(t, l, 250)
	short.roots[250] = l.checkpoint(t, 300)
	for name, tc := range map[string]struct {
		server *exportServer
		code   exitCode
		reason string
	}{
		"rolled back":   {newExportServer(t, l, 100), exitFailed, "LOG_ROLLED_BACK"},
		"forked":        {newExportServer(t, fork, 300), exitFailed, "LOG_FORKED"},
		"of no key":     {newExportServer(t, stranger, 300), exitFailed, "NOT_VERIFIED"},
		"ends too soon": {short, exitFailed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "log")
			good := newExportServer(t, l, 200)
			if err := good.export(t.Context(), t, dir, false); err != nil {
				t.Fatal(err)
			}
			tc.server.log.vkey = l.vkey
			told := asExit(tc.server.export(t.Context(), t, dir, false))
			if told.code != tc.code || told.reason != tc.reason || told.next == "" {
				t.Errorf("got %d %s: %v; %s", told.code, told.reason, told, told.next)
			}
			good.wantFolder(t, dir, 200)
		})
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if told := asExit(newExportServer(t, l, 1).export(t.Context(), t, dir, false)); told.code != exitUsage || told.next == "" {
		t.Errorf("a folder of something else: %v", told)
	}
}
