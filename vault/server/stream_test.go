package server

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/vaulttest"
)

type logStream = grpc.ServerStreamingClient[pb.ReadLogResponse]

// follow opens a stream of the log that goes on, and takes its first message.
func follow(t *testing.T, conn *grpc.ClientConn) (stream logStream, end context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	stream, err := pb.NewAuditServiceClient(conn).ReadLog(ctx, &pb.ReadLogRequest{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	return stream, cancel
}

// ended takes what is still sent, and returns why the stream ended.
func ended(stream logStream) error {
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
}

// awaitEntry follows the log from its start until an entry is as wanted.
func awaitEntry(t *testing.T, conn *grpc.ClientConn, wanted func(audit.Entry) bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := pb.NewAuditServiceClient(conn).ReadLog(ctx, &pb.ReadLogRequest{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	for {
		batch, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch.GetEntries() {
			entry, err := audit.Parse(e.GetBody())
			if err != nil {
				t.Fatal(err)
			}
			if wanted(entry) {
				return
			}
		}
	}
}

// TestReadLogFollows: what is done while somebody follows the log comes to them, and
// what came can be verified with the public key alone.
func TestReadLogFollows(t *testing.T) {
	o := newOffice(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := pb.NewAuditServiceClient(o.dialStaff(t, "auditor")).ReadLog(ctx, &pb.ReadLogRequest{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	var leaves []audit.Hash
	var card string
	seen, covered := map[string]bool{}, int64(0)
	for card == "" || !seen[card] {
		batch, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if signed := batch.GetCheckpoint(); signed != nil {
			c, err := audit.OpenCheckpoint(signed, o.keys(t)...)
			if err != nil || c.Size <= covered {
				t.Fatalf("%+v after %d, %v", c, covered, err)
			}
			covered = c.Size
		}
		for _, e := range batch.GetEntries() {
			if e.GetIndex() != int64(len(leaves)) || e.GetIndex() >= covered {
				t.Fatalf("entry %d after %d, the checkpoint has %d", e.GetIndex(), len(leaves)-1, covered)
			}
			leaves = append(leaves, audit.LeafHash(e.GetBody()))
			entry, err := audit.Parse(e.GetBody())
			if err != nil {
				t.Fatal(err)
			}
			seen[entry.Card.String()] = true
		}
		if card == "" {
			card = o.issue(t).GetCard().GetId()
		}
	}
	// All of it ends where it is asked to.
	whole, err := pb.NewAuditServiceClient(o.dialStaff(t, "auditor")).ReadLog(ctx, &pb.ReadLogRequest{StartIndex: 2, EndIndex: 5})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := whole.Recv()
	if err != nil || len(batch.GetEntries()) != 3 || batch.GetEntries()[0].GetIndex() != 2 {
		t.Errorf("%v, %v", batch, err)
	}
	if _, err := whole.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// TestReadLogRefused: refusals of a stream have a status with a reason, and are
// recorded as those of calls are.
func TestReadLogRefused(t *testing.T) {
	s := newSite(t)
	auditor := s.dialStaff(t, "auditor")
	unknown := &pb.ReadLogRequest{}
	unknown.ProtoReflect().SetUnknown(anUnknownField())
	whole := &pb.ReadLogRequest{}
	refusals := map[string]int{}
	for name, tc := range map[string]struct {
		conn     *grpc.ClientConn
		requests []proto.Message
		code     codes.Code
		reason   string // recorded
	}{
		"stranger":      {s.dialStaff(t, "stranger"), []proto.Message{whole}, codes.PermissionDenied, "PERMISSION_DENIED"},
		"of a tenant":   {s.dial(t, "auditor"), []proto.Message{whole}, codes.PermissionDenied, "PERMISSION_DENIED"},
		"range":         {auditor, []proto.Message{&pb.ReadLogRequest{StartIndex: -1}}, codes.InvalidArgument, "LOG_RANGE"},
		"unknown field": {auditor, []proto.Message{unknown}, codes.InvalidArgument, "UNKNOWN_FIELD"},
		"other message": {auditor, []proto.Message{&pb.TokenizeCardRequest{Pan: foreignPAN}}, codes.InvalidArgument, "UNKNOWN_FIELD"},
		"too large":     {auditor, []proto.Message{&pb.ListEntriesRequest{PageToken: strings.Repeat("x", oneItem)}}, codes.ResourceExhausted, "REQUEST_TOO_LARGE"},
		// gRPC answers these itself.
		"larger than any": {auditor, []proto.Message{&pb.ListEntriesRequest{PageToken: strings.Repeat("x", largestMessage)}}, codes.ResourceExhausted, "REQUEST_TOO_LARGE"},
		"no request":      {auditor, nil, codes.Internal, "REQUEST_MALFORMED"},
		"two requests":    {auditor, []proto.Message{whole, whole}, codes.Internal, "REQUEST_MALFORMED"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			stream, err := tc.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, pb.AuditService_ReadLog_FullMethodName)
			if err != nil {
				t.Fatal(err)
			}
			for _, request := range tc.requests {
				if err := stream.SendMsg(request); err != nil && !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
			}
			_ = stream.CloseSend()
			err = stream.RecvMsg(&pb.ReadLogResponse{})
			if status.Code(err) != tc.code || tc.code != codes.Internal && !strings.Contains(name, "any") && reasonOf(t, err) != tc.reason {
				t.Errorf("%v, want %v, %s", err, tc.code, tc.reason)
			}
			refusals[tc.reason]++
			n := 0
			awaitEntry(t, auditor, func(e audit.Entry) bool {
				if e.Action == "ReadLog" && e.Result == tc.reason {
					n++
				}
				return n == refusals[tc.reason]
			})
		})
	}
}

// TestSlowReaderStallsItself: streams that nobody reads hold up neither calls, on
// their own connection or another, nor other streams, and lose nothing.
func TestSlowReaderStallsItself(t *testing.T) {
	o := newOffice(t)
	conn := o.dialStaff(t, "auditor")
	requests := make([]*pb.IssueCardRequest, 1000)
	for i := range requests {
		requests[i] = &pb.IssueCardRequest{BinRange: "demo"}
	}
	var last *pb.Receipt
	for range 3 { // some 1.5 MB of entries
		results := must[*pb.BatchIssueCardsResponse](t)(o.issuer.BatchIssueCards(t.Context(), &pb.BatchIssueCardsRequest{Requests: requests})).GetResults()
		last = results[len(results)-1].GetResponse().GetReceipt()
	}
	size := prove(t, o.audit, last).GetIndex() + 1

	client := pb.NewAuditServiceClient(conn)
	var slow []logStream
	for range roomForOne - 1 {
		stream, err := client.ReadLog(t.Context(), &pb.ReadLogRequest{EndIndex: size})
		if err != nil {
			t.Fatal(err)
		}
		slow = append(slow, stream)
	}
	for range 50 {
		o.issue(t)
		must[*pb.GetCheckpointResponse](t)(client.GetCheckpoint(t.Context(), &pb.GetCheckpointRequest{}))
	}
	quick, err := client.ReadLog(t.Context(), &pb.ReadLogRequest{EndIndex: size})
	if err != nil {
		t.Fatal(err)
	}
	for _, stream := range append([]logStream{quick}, slow...) {
		next := int64(0)
		for {
			batch, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range batch.GetEntries() {
				if e.GetIndex() != next {
					t.Fatalf("entry %d, want %d", e.GetIndex(), next)
				}
				next++
			}
		}
		if next != size {
			t.Errorf("%d entries, want %d", next, size)
		}
	}
}

func TestRevokedCertificateEndsItsStream(t *testing.T) {
	s := newSite(t)
	pair := s.staff(t, "auditor")
	stream, _ := follow(t, s.dialTLS(t, s.tls(t, pair)))
	other, _ := follow(t, s.dialStaff(t, "auditor"))
	s.revoke(t, pair.Serial)
	if err := ended(stream); status.Code(err) != codes.Unavailable {
		t.Errorf("revoked: %v", err)
	}
	s.makeEntry(t)
	if _, err := other.Recv(); err != nil {
		t.Errorf("another certificate of the same name: %v", err)
	}
}

// makeEntry has the server write an entry: of a policy that says the same in another
// file, since the one in force is put in force silently.
func (s *site) makeEntry(t *testing.T) {
	t.Helper()
	policy, err := access.Parse("demo.cedar", append(access.DemoPolicy(), "\n// "+rand.Text()...))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.vault.SetPolicy(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
}

// TestStreamEndsWithItsCertificate: once nobody vouches for the caller any more,
// nothing more is sent, even while the connection still stands.
func TestStreamEndsWithItsCertificate(t *testing.T) {
	s := newSite(t)
	stream, _ := follow(t, s.dialStaff(t, "auditor"))
	s.clock.Advance(20 * 365 * 24 * time.Hour)
	s.makeEntry(t)
	if err := ended(stream); reasonOf(t, err) != "UNAUTHENTICATED" {
		t.Errorf("error %v, want UNAUTHENTICATED", err)
	}
}

func TestDrainEndsStreams(t *testing.T) {
	s := newSite(t)
	conn := s.dialStaff(t, "auditor")
	var streams []logStream
	for range 3 {
		stream, _ := follow(t, conn)
		streams = append(streams, stream)
	}
	if err := s.server.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	for _, stream := range streams {
		if err := ended(stream); reasonOf(t, err) != "SERVER_STOPPING" || status.Code(err) != codes.Unavailable {
			t.Errorf("error %v, want SERVER_STOPPING", err)
		}
	}
}

// TestRoomForStreams: one caller has a few, whatever connections it opens, and who
// goes away makes room.
func TestRoomForStreams(t *testing.T) {
	s := newSite(t)
	conns := []*grpc.ClientConn{s.dialStaff(t, "auditor"), s.dialStaff(t, "auditor")}
	var end context.CancelFunc
	for i := range roomForOne {
		_, end = follow(t, conns[i%2])
	}
	wantLines(t, scrape(t, s.metrics), `cardvault_server_streams 8`)
	open := func() error {
		stream, err := pb.NewAuditServiceClient(conns[0]).ReadLog(t.Context(), &pb.ReadLogRequest{EndIndex: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		return err
	}
	if err := open(); reasonOf(t, err) != "OVERLOADED" || status.Code(err) != codes.Unavailable {
		t.Errorf("one too many: %v", err)
	}
	end()
	for err := open(); err != nil; err = open() {
		if reasonOf(t, err) != "OVERLOADED" {
			t.Fatal(err)
		}
	}
}

func TestPlaces(t *testing.T) {
	var p places
	var leave []func()
	for i := range roomForStreams {
		who := string(rune('a' + i/roomForOne))
		if i%roomForOne == 0 && i > 0 {
			if _, ok := p.take(string(rune('a' + i/roomForOne - 1))); ok {
				t.Fatalf("caller %d has more than its places", i/roomForOne-1)
			}
		}
		give, ok := p.take(who)
		if !ok {
			t.Fatalf("no place for stream %d", i)
		}
		leave = append(leave, give)
	}
	if _, ok := p.take("somebody else"); ok || p.taken() != roomForStreams {
		t.Errorf("one stream too many, %d taken", p.taken())
	}
	leave[0]()
	if _, ok := p.take("somebody else"); !ok {
		t.Error("no place after one left")
	}
	for _, give := range leave[1:] {
		give()
	}
	if p.taken() != 1 || len(p.of) != 1 {
		t.Errorf("%d taken by %v at the end", p.taken(), p.of)
	}
}

// fakeStream is gRPC's end of a stream.
type fakeStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // as gRPC's own streams
}

func (s *fakeStream) Context() context.Context { return s.ctx }
func (s *fakeStream) RecvMsg(any) error        { return nil }

// TestPanicInAStream: it is answered, its place is free again, and the log says
// where and not what.
func TestPanicInAStream(t *testing.T) {
	var log vaulttest.LogBuffer
	p, ctx := newPipe(t, &log)
	p.answers = answers{slog.New(slog.NewTextHandler(&log, nil))}
	h := p.stream(method{action: access.ReadLog, largest: 1000}, func(_ any, stream grpc.ServerStream) error {
		if err := stream.RecvMsg(&pb.ReadLogRequest{}); err != nil {
			return err
		}
		if p.streams.taken() != 1 {
			t.Error("the stream has no place")
		}
		panic(cardHolder{foreignPAN})
	})
	err := h(nil, &fakeStream{ctx: ctx})
	if status.Code(err) != codes.Internal || strings.Contains(err.Error()+log.String(), foreignPAN) || !strings.Contains(log.String(), "server.TestPanicInAStream") {
		t.Errorf("error %v, log:\n%s", err, log.String())
	}
	if p.streams.taken() != 0 || p.inFlight.Load() != 0 {
		t.Error("the stream still holds its place")
	}
}

// TestMessagesStaySmall: a batch of the largest entries is sent in several messages,
// whole and in order.
func TestMessagesStaySmall(t *testing.T) {
	b := audit.Batch{Checkpoint: []byte("signed")}
	var want []int64
	for i := range int64(100) {
		b.Entries = append(b.Entries, audit.LogEntry{Index: i, Body: make([]byte, audit.MaxBody)})
		want = append(want, i)
	}
	b.Entries = append(b.Entries, audit.LogEntry{Index: 100, Leaf: audit.Hash{1}})
	messages := batchTo(b)
	var got []int64
	for i, m := range messages {
		if (m.GetCheckpoint() != nil) != (i == 0) || proto.Size(m) > maxBodies+1<<16 {
			t.Errorf("message %d has %d bytes, checkpoint %q", i, proto.Size(m), m.GetCheckpoint())
		}
		for _, e := range m.GetEntries() {
			got = append(got, e.GetIndex())
		}
	}
	if !slices.Equal(got, append(want, 100)) || len(messages) < 6 {
		t.Errorf("%d messages with the entries %v", len(messages), got)
	}
	last := messages[len(messages)-1].GetEntries()
	if e := last[len(last)-1]; e.GetBody() != nil || e.GetLeafHash()[0] != 1 {
		t.Errorf("a dropped entry: %v", e)
	}
}
