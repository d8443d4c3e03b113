package server

import (
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
)

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	if recorder.Code != 200 {
		t.Fatalf("status %d: %s", recorder.Code, recorder.Body)
	}
	return recorder.Body.String()
}

func TestMetrics(t *testing.T) {
	s := newSite(t)
	conn := s.dial(t, "issuer")
	_, _ = pb.NewCardServiceClient(conn).GetCard(t.Context(), &pb.GetCardRequest{Id: "4111111111111111"})
	_ = conn.Invoke(t.Context(), "/evil.Service/4111111111111111", &emptypb.Empty{}, &emptypb.Empty{})
	_ = ping(t, s.dialTLS(t, s.tls(t)))
	<-s.refused
	standing := scrape(t, s.metrics)
	current := s.server.gate.trust.Load()
	wantLines(t, standing,
		`go_goroutines \d+`,
		`process_open_fds \d+`,
		`cardvault_server_handshakes_refused_total\{reason="handshake"\} 1`,
		`cardvault_server_connections 1`,
		gauge("cardvault_server_certificate_expiry_timestamp_seconds", current.own.Leaf.NotAfter),
		gauge("cardvault_crl_creation_timestamp_seconds", current.from),
		gauge("cardvault_crl_expiry_timestamp_seconds", current.until),
	)
	// A call is counted after its answer has left. Stopping waits for that.
	if err := s.server.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	stopped := scrape(t, s.metrics)
	wantLines(t, stopped,
		`grpc_server_call_duration_seconds_count\{grpc_method="cardvault.v1.CardService/GetCard",grpc_status="INVALID_ARGUMENT"\} 1`,
		`grpc_server_call_started_total\{grpc_method="other"\} 1`,
		`cardvault_server_calls_in_flight 0`,
		`cardvault_server_connections 0`,
	)
	if strings.Contains(standing+stopped, "evil") || strings.Contains(standing+stopped, "4111111111111111") {
		t.Error("what a caller wrote is in the metrics")
	}
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(text) {
			t.Errorf("no line %s in\n%s", line, text)
		}
	}
}

// gauge is the line of a time.
func gauge(name string, at time.Time) string {
	return name + " " + regexp.QuoteMeta(strconv.FormatFloat(float64(at.Unix()), 'g', -1, 64))
}

func TestNoListNoMetricOfIt(t *testing.T) {
	s := newSite(t)
	cfg := s.config()
	cfg.CRLFile = ""
	cfg.Vault, cfg.Metrics = s.vault, newMetrics(t)
	server, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	text := scrape(t, cfg.Metrics)
	if err := server.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if strings.Contains(text, "cardvault_crl") || !strings.Contains(text, "cardvault_server_certificate") {
		t.Errorf("scraped:\n%s", text)
	}
}
