package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/review"
)

// reviewedLog is a log of n entries, one each hour, by two callers in turn. Every
// third is a full PAN, every fifth is denied.
func reviewedLog(n int) [][]byte {
	chain := audit.NewChain(uuid.UUID{0: 0x6f, 6: 0x40, 8: 0x80})
	bodies := make([][]byte, n)
	for i := range bodies {
		e := audit.Entry{
			Principal: "spiffe://example.com/tenant/acme/" + []string{"payments", "support"}[i%2], Tenant: "acme",
			Action: "GetCard", Decision: audit.Allow, Result: "OK", Card: uuid.UUID{byte(i % 7), 6: 0x40, 8: 0x80},
		}
		if i%3 == 0 {
			e.Action, e.View, e.Purpose = "DetokenizeCard", "FULL", "settlement"
		}
		if i%5 == 0 {
			e.Decision, e.Result = audit.Deny, "PERMISSION_DENIED"
		}
		var record audit.Record
		chain, record = chain.Append(e, reviewedStart().Add(time.Duration(i)*time.Hour))
		bodies[i] = record.Body
	}
	return bodies
}

func reviewedStart() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) }

// exportReviewed writes bodies as an exported folder, without a signature.
func exportReviewed(t *testing.T, bodies [][]byte) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	size := int64(len(bodies))
	write("checkpoint", []byte(audit.Checkpoint{Origin: "example.com/audit", Size: size}.Text()+"\n— example.com/audit AAAA\n"))
	for _, tile := range audit.LogTiles(0, size) {
		if tile.L == audit.EntriesLevel {
			var bundle []byte
			for i := range int64(tile.W) {
				bundle = audit.AppendBundle(bundle, bodies[tile.N*audit.TileWidth+i])
			}
			write(audit.TilePath(tile), bundle)
		}
	}
	return dir
}

// reviewServer answers as a server with such a log does: pages of few entries, some
// of them empty, and streams that end early.
type reviewServer struct {
	cardvaultv1.UnimplementedAuditServiceServer

	bodies [][]byte
	// cut ends each stream after so many entries; 0: at the log's end.
	cut int
	// skip leaves one entry out of a stream.
	skip     int64
	streams  int
	requests []*cardvaultv1.ListEntriesRequest
}

func (s *reviewServer) ListEntries(_ context.Context, r *cardvaultv1.ListEntriesRequest) (*cardvaultv1.ListEntriesResponse, error) {
	s.requests = append(s.requests, r)
	from, _ := strconv.Atoi(r.GetPageToken())
	answer := &cardvaultv1.ListEntriesResponse{}
	i := from
	for ; i < min(from+10, len(s.bodies)) && len(answer.GetEntries()) < int(r.GetPageSize()); i++ {
		e, err := audit.Parse(s.bodies[i])
		if err != nil {
			return nil, err
		}
		if (r.GetAction() == "" || e.Action == r.GetAction()) && (r.GetDecision() == "" || e.Decision.String() == r.GetDecision()) &&
			(r.GetCardId() == "" || e.Card.String() == r.GetCardId()) && (r.GetPrincipal() == "" || e.Principal == r.GetPrincipal()) &&
			(r.GetStartTime() == nil || !e.Time.Before(r.GetStartTime().AsTime())) &&
			(r.GetEndTime() == nil || e.Time.Before(r.GetEndTime().AsTime())) {
			answer.Entries = append(answer.Entries, entryMessage(e, s.bodies[i]))
		}
	}
	if i < len(s.bodies) {
		answer.NextPageToken = strconv.Itoa(i)
	}
	return answer, nil
}

func (s *reviewServer) ReadLog(r *cardvaultv1.ReadLogRequest, stream grpc.ServerStreamingServer[cardvaultv1.ReadLogResponse]) error {
	s.streams++
	for i := r.GetStartIndex(); i < int64(len(s.bodies)); i++ {
		if s.cut > 0 && i-r.GetStartIndex() >= int64(s.cut) {
			return status.Error(codes.Unavailable, "the connection has its age")
		}
		if s.skip > 0 && i == s.skip {
			continue
		}
		if err := stream.Send(&cardvaultv1.ReadLogResponse{Entries: []*cardvaultv1.LogEntry{{Index: i, Body: s.bodies[i]}}}); err != nil {
			return err
		}
	}
	if s.cut == 1 {
		return status.Error(codes.Unavailable, "stopping")
	}
	return nil
}

func reviewSession(t *testing.T, service *reviewServer) *session {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	cardvaultv1.RegisterAuditServiceServer(server, service)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &session{conn: conn, timeout: time.Minute}
}

// sources are the three ways to the same log.
func sources(t *testing.T, bodies [][]byte) map[string]reviewLog {
	t.Helper()
	folder, err := openReviewFolder(exportReviewed(t, bodies))
	if err != nil {
		t.Fatal(err)
	}
	conn := reviewSession(t, &reviewServer{bodies: bodies, cut: 70})
	return map[string]reviewLog{
		"folder": folder,
		"stream": {read: conn.readReviewLog},
		"tenant": {tenant: conn},
	}
}

// TestSearchIsTheSameEverywhere follows every page of searches in all sources.
func TestSearchIsTheSameEverywhere(t *testing.T) {
	bodies := reviewedLog(600)
	searches := map[string]searchFlags{
		"all":       {limit: 1000},
		"limit":     {limit: 7},
		"denied":    {limit: 13, decision: "deny"},
		"action":    {limit: 50, action: "DetokenizeCard", decision: "allow"},
		"principal": {limit: 50, principal: "spiffe://example.com/tenant/acme/support"},
		"card":      {limit: 50, card: uuid.UUID{3, 6: 0x40, 8: 0x80}.String()},
		"time":      {limit: 20, since: "2026-03-05T00:00:00Z", until: "2026-03-09T00:00:00Z"},
		"nothing":   {limit: 20, action: "ListCards"},
	}
	for source, log := range sources(t, bodies) {
		for name, flags := range searches {
			t.Run(source+" "+name, func(t *testing.T) {
				search, err := flags.parse(time.Now())
				if err != nil {
					t.Fatal(err)
				}
				var got, want []string
				for _, body := range bodies {
					if e, err := audit.Parse(body); err == nil && search.filter.Match(e) {
						want = append(want, string(body))
					}
				}
				for {
					found, err := search.run(t.Context(), log)
					if err != nil {
						t.Fatal(err)
					}
					if len(found.entries) > flags.limit || found.next != "" && len(found.entries) < flags.limit {
						t.Fatalf("%d entries with a limit of %d, next %q", len(found.entries), flags.limit, found.next)
					}
					for _, e := range found.entries {
						got = append(got, string(e.GetBody()))
					}
					if search.token = found.next; found.next == "" {
						break
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		}
	}
}

func TestReportIsTheSameEverywhere(t *testing.T) {
	bodies := reviewedLog(600)
	period := review.Period{Since: reviewedStart().AddDate(0, 0, 5), Until: reviewedStart().AddDate(0, 0, 20)}
	var reports []review.Summary
	for source, log := range sources(t, bodies) {
		report, err := countReviewed(t.Context(), log, period)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		s := report.Summary()
		for i := range s.Callers { // a tenant's entries have no index
			s.Callers[i].First.Index, s.Callers[i].Last.Index = 0, 0
		}
		for i := range s.Refused {
			s.Refused[i].First.Index, s.Refused[i].Last.Index = 0, 0
		}
		s.Read = 0 // a tenant's search ends with the period
		reports = append(reports, s)
	}
	for _, r := range reports[1:] {
		if diff := cmp.Diff(reports[0], r); diff != "" {
			t.Errorf("reports differ:\n%s", diff)
		}
	}
	if r := reports[0]; r.Entries != 360 || r.FullPANs != 96 || r.Refusals != 72 || len(r.Callers) != 2 || r.NewCallers != 0 {
		t.Errorf("%d entries, %d full PANs, %d refusals, %d callers", r.Entries, r.FullPANs, r.Refusals, len(r.Callers))
	}
}

// A stream that the server ends is gone on with; one that brings nothing is not.
func TestReviewStreamGoesOn(t *testing.T) {
	service := &reviewServer{bodies: reviewedLog(100), cut: 30}
	conn := reviewSession(t, service)
	n := 0
	for _, err := range conn.readReviewLog(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 100 || service.streams != 4 {
		t.Errorf("%d entries in %d streams", n, service.streams)
	}
	service.cut = 1
	var told []codes.Code
	for _, err := range conn.readReviewLog(t.Context(), 100) {
		told = append(told, status.Code(err))
	}
	if !slices.Equal(told, []codes.Code{codes.Unavailable}) {
		t.Errorf("told %v", told)
	}
}

func TestReviewStreamWithAGap(t *testing.T) {
	conn := reviewSession(t, &reviewServer{bodies: reviewedLog(10), skip: 5})
	if _, err := countReviewed(t.Context(), reviewLog{read: conn.readReviewLog}, review.Period{}); err == nil ||
		!strings.Contains(err.Error(), "entry 6 of the log where 5 was due") {
		t.Errorf("error %v", err)
	}
}

// reviewCommand runs search or report, without a server.
func reviewCommand(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	c := &connection{}
	root := &cobra.Command{Use: "audit", SilenceErrors: true, SilenceUsage: true}
	c.register(root)
	root.AddCommand(auditSearch(c), auditReport(c))
	markRan(root)
	var out, told bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&told)
	root.SetArgs(args)
	err = root.ExecuteContext(t.Context())
	return out.String(), told.String(), err
}

func TestSearchCommand(t *testing.T) {
	dir := exportReviewed(t, reviewedLog(20))
	out, _, err := reviewCommand(t, "search", "--dir", dir, "--decision", "deny", "--limit", "2")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out, "\n")
	if len(lines) != 6 || !strings.HasPrefix(lines[0], "INDEX  TIME") || !strings.HasPrefix(lines[1], "    0  2026-03-01T00:00:00Z  spiffe://") ||
		!strings.Contains(lines[2], "PERMISSION_DENIED") || lines[4] != "There is more: --page-token 10" {
		t.Errorf("printed:\n%s", out)
	}

	out, _, err = reviewCommand(t, "search", "--dir", dir, "--decision", "deny", "--limit", "2", "--page-token", "10", "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	var answer cardvaultv1.ListEntriesResponse
	if err := protojson.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.GetEntries()) != 2 || answer.GetEntries()[0].GetReceipt().GetNumber() != 10 || answer.GetNextPageToken() != "" {
		t.Errorf("printed:\n%s", out)
	}
}

func TestReportCommand(t *testing.T) {
	dir := exportReviewed(t, reviewedLog(300))
	file := filepath.Join(t.TempDir(), "report.html")
	args := []string{"report", "--dir", dir, "--since", "2026-03-05T00:00:00Z", "--until", "2026-03-08T00:00:00Z", "--html", file}
	out, _, err := reviewCommand(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Audit log review, 2026-03-05T00:00:00Z to 2026-03-08T00:00:00Z\n",
		"From the log example.com/audit in the folder " + dir + ": 300 entries read\n",
		"19 full PANs, 0 unusual days, 14 refusals, 0 new callers, 72 entries\n",
		"\n2026-03-05  spiffe://example.com/tenant/acme/payments  acme    settlement", "\nREFUSALS\n", "\nACTS of the server itself\nnone\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("does not print %q:\n%s", want, out)
		}
	}
	page, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(page), "<!DOCTYPE html>") || !strings.HasSuffix(strings.TrimSpace(string(page)), "</html>") {
		t.Errorf("page of %d bytes, %v", len(page), err)
	}
	out, _, err = reviewCommand(t, append(args, "--output", "json")...)
	if err != nil {
		t.Fatal(err)
	}
	var s review.Summary
	if err := json.Unmarshal([]byte(out), &s); err != nil || s.FullPANs != 19 || strings.Count(out, "\n") != 1 {
		t.Errorf("printed %v:\n%s", err, out)
	}
}

// A terminal is not moved by what a folder says.
func TestReviewEscapesForTerminals(t *testing.T) {
	_, record := audit.NewChain(uuid.UUID{1}).Append(audit.Entry{
		Principal: "\x1b[2Jroot\u202e", Tenant: "\n\nt", Action: "DetokenizeCard\x07", Purpose: "\x9b1m", View: "FULL", Result: "\r",
	}, reviewedStart())
	dir := exportReviewed(t, [][]byte{record.Body})
	for _, args := range [][]string{{"search"}, {"report", "--since", "2026-02-01T00:00:00Z"}} {
		out, _, err := reviewCommand(t, append(args, "--dir", dir)...)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(out, "\x1b\x07\r\u202e\u009b") || !strings.Contains(out, `\x1b[2Jroot\u202e`) {
			t.Errorf("%v printed %q", args, out)
		}
	}
}

func TestReviewDropped(t *testing.T) {
	bodies := reviewedLog(5)
	bodies[0], bodies[1] = nil, nil
	dir := exportReviewed(t, bodies)
	_, told, err := reviewCommand(t, "search", "--dir", dir)
	if err != nil || told != "cardvault: 2 entries were not searched: the retention policy dropped them\n" {
		t.Errorf("told %q, %v", told, err)
	}
	out, _, err := reviewCommand(t, "report", "--dir", dir, "--since", "2026-02-01T00:00:00Z")
	if err != nil || !strings.Contains(out, "note: 2 entries had been dropped by the retention policy.") {
		t.Errorf("printed %v\n%s", err, out)
	}
}

func TestReviewRefuses(t *testing.T) {
	dir := exportReviewed(t, reviewedLog(3))
	spoiled := exportReviewed(t, [][]byte{[]byte("{}")})
	tests := map[string]struct {
		args []string
		code exitCode
		want string
	}{
		"no folder":       {[]string{"search", "--dir", filepath.Join(dir, "no")}, exitUsage, "--dir: not a whole exported log"},
		"malformed entry": {[]string{"report", "--dir", spoiled}, exitFailed, "entry 0 of the log: malformed audit entry"},
		"both sources":    {[]string{"search", "--dir", dir, "--all"}, exitUsage, "[all dir]"},
		"since":           {[]string{"search", "--dir", dir, "--since", "yesterday"}, exitUsage, "--since: neither a time nor an age"},
		"until":           {[]string{"report", "--dir", dir, "--until", "2026-01-01"}, exitUsage, "--until: neither a time nor an age"},
		"no period":       {[]string{"report", "--dir", dir, "--since", "1h", "--until", "2h"}, exitUsage, "the period has no length"},
		"card":            {[]string{"search", "--dir", dir, "--card", "x"}, exitUsage, "--card: not a card id"},
		"decision":        {[]string{"search", "--dir", dir, "--decision", "yes"}, exitUsage, "--decision: neither of the two"},
		"limit":           {[]string{"search", "--dir", dir, "--limit", "0"}, exitUsage, "--limit: too low"},
		"page token":      {[]string{"search", "--dir", dir, "--page-token", "x"}, exitUsage, "--page-token: not one of this source"},
		"html":            {[]string{"report", "--dir", dir, "--html", filepath.Join(dir, "no", "x.html")}, exitFailed, "--html: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := reviewCommand(t, tt.args...)
			if err == nil {
				t.Fatal("no error")
			}
			told := asExit(err)
			if told.code != tt.code || !strings.Contains(told.Error(), tt.want) {
				t.Errorf("code %d: %s", told.code, told.line())
			}
			if told.next == "" && name != "both sources" { // which main completes
				t.Error("no next step")
			}
		})
	}
}
