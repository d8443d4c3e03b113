package main

import (
	"bytes"
	"context"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

var updateGolden = flag.Bool("update", false, "write the golden files anew")

func keysMade() time.Time { return time.Date(2026, time.March, 14, 15, 9, 26, 0, time.UTC) }

// sampleKeys are of two tenants and in no order, one of them from a store that
// somebody edited.
func sampleKeys() *cardvaultv1.ListKeysResponse {
	key := func(n int, tenant string, purpose cardvaultv1.KeyVersion_Purpose, state cardvaultv1.KeyVersion_State, days int) *cardvaultv1.KeyVersion {
		return &cardvaultv1.KeyVersion{
			Id: "00000000-0000-4000-8000-00000000000" + strconv.Itoa(n), Tenant: tenant, Purpose: purpose, State: state,
			KekKind: "transit", KekVersion: "10", Age: durationpb.New(time.Duration(days) * 24 * time.Hour),
			CreateTime: timestamppb.New(keysMade().AddDate(0, 0, -days)), Rows: new(int64(n * 1000)),
		}
	}
	const (
		data, fingerprint, order = cardvaultv1.KeyVersion_PURPOSE_DATA, cardvaultv1.KeyVersion_PURPOSE_FINGERPRINT, cardvaultv1.KeyVersion_PURPOSE_RANGE
		active, retiring         = cardvaultv1.KeyVersion_STATE_ACTIVE, cardvaultv1.KeyVersion_STATE_RETIRING
	)
	sealing := key(1, "acme", data, active, 30)
	sealing.Algorithm, sealing.Uses, sealing.UsesLeft = "AES-256-GCM", new(int64(65536)), new(int64(1<<30-65536))
	sealing.ExpireTime, sealing.CryptoperiodLeft = timestamppb.New(keysMade().AddDate(0, 0, 335)), durationpb.New(335*24*time.Hour)
	before := key(2, "acme", data, retiring, 360)
	before.Algorithm, before.Uses, before.KekVersion = "AES-256-GCM", new(int64(7)), "9"
	before.ExpireTime = timestamppb.New(keysMade().AddDate(0, 0, 5))
	hash := key(3, "acme", fingerprint, active, 400)
	hash.Algorithm = "HMAC-SHA-256"
	numbers := key(4, "acme", order, active, 1)
	numbers.Algorithm, numbers.BinRange = "FF1-AES-256", "debit-eu"
	late := key(5, "zeta", data, active, 366)
	late.Algorithm, late.Uses, late.UsesLeft = "AES-256-GCM", new(int64(1)), new(int64(1<<30-1))
	late.ExpireTime, late.CryptoperiodLeft = timestamppb.New(keysMade().AddDate(0, 0, -1)), durationpb.New(-24*time.Hour)
	edited := key(6, "\x1b[2J|<b>`x`", cardvaultv1.KeyVersion_PURPOSE_UNSPECIFIED, cardvaultv1.KeyVersion_STATE_UNSPECIFIED, 0)
	edited.KekKind, edited.KekVersion = "local", "1\n| a | b |"
	return &cardvaultv1.ListKeysResponse{
		Keys: []*cardvaultv1.KeyVersion{late, numbers, edited, hash, before, sealing},
		KekVersions: []*cardvaultv1.KekVersion{
			{Kind: "transit", Version: "10", Keys: 4}, {Kind: "local", Version: "1", Keys: 1}, {Kind: "transit", Version: "9", Keys: 1},
		},
		AuditLogKeys: []string{"vault.example/audit+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"},
	}
}

// keyServer answers with two keys a page.
type keyServer struct {
	cardvaultv1.UnimplementedKeyServiceServer

	list     *cardvaultv1.ListKeysResponse
	requests []*cardvaultv1.ListKeysRequest
}

func (s *keyServer) ListKeys(_ context.Context, r *cardvaultv1.ListKeysRequest) (*cardvaultv1.ListKeysResponse, error) {
	s.requests = append(s.requests, r)
	from, _ := strconv.Atoi(r.GetPageToken())
	to := min(from+2, len(s.list.GetKeys()))
	page := &cardvaultv1.ListKeysResponse{
		Keys:    s.list.GetKeys()[from:to],
		Receipt: &cardvaultv1.Receipt{Replica: "11111111-0000-4000-8000-000000000000", Number: int64(40 + from)},
	}
	if from == 0 {
		page.KekVersions, page.AuditLogKeys = s.list.GetKekVersions(), s.list.GetAuditLogKeys()
	}
	if to < len(s.list.GetKeys()) {
		page.NextPageToken = strconv.Itoa(to)
	}
	return page, nil
}

func readInventory(t *testing.T, service *keyServer, rows bool) *cardvaultv1.ListKeysResponse {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	cardvaultv1.RegisterKeyServiceServer(server, service)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	inventory, err := (&session{conn: conn, timeout: time.Minute}).inventory(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	return inventory
}

// TestInventoryHasEveryPage: an inventory with a page missing is none.
func TestInventoryHasEveryPage(t *testing.T) {
	service := &keyServer{list: sampleKeys()}
	inventory := readInventory(t, service, true)
	if len(inventory.GetKeys()) != 6 || len(inventory.GetKekVersions()) != 3 || len(inventory.GetAuditLogKeys()) != 1 ||
		inventory.GetReceipt().GetNumber() != 40 || inventory.GetNextPageToken() != "" {
		t.Errorf("inventory %v", inventory)
	}
	if len(service.requests) != 3 || !service.requests[0].GetCountRows() || !service.requests[2].GetCountRows() {
		t.Errorf("asked %v", service.requests)
	}
	service = &keyServer{list: &cardvaultv1.ListKeysResponse{}}
	if none := readInventory(t, service, false); len(none.GetKeys()) != 0 || service.requests[0].GetCountRows() {
		t.Errorf("of nothing: %v", none)
	}
}

// TestKeyDocument compares the document and the table with testdata.
// `go test -update` writes them anew.
func TestKeyDocument(t *testing.T) {
	inventory := readInventory(t, &keyServer{list: sampleKeys()}, true)
	var printed bytes.Buffer
	if err := printKeys(printer{w: &printed}, inventory); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"keys.md": keyDocument(inventory, keysMade()), "keys.txt": printed.String()} {
		path := filepath.Join("testdata", name)
		if *updateGolden {
			if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if want := string(readFile(t, path)); got != want {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
		}
		// What somebody wrote into the store neither moves a cursor nor makes cells.
		if strings.ContainsAny(got, "\x1b\r") || strings.Contains(got, "| a | b |") && name == "keys.md" {
			t.Errorf("%s repeats what was edited", name)
		}
	}
}

func TestKeysWithoutRowsOrSigner(t *testing.T) {
	list := sampleKeys()
	for _, k := range list.GetKeys() {
		k.Rows = nil
	}
	list.AuditLogKeys = nil
	var printed bytes.Buffer
	if err := printKeys(printer{w: &printed}, list); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(printed.String(), "ROWS") || !strings.Contains(printed.String(), "not known: the signer does not answer") {
		t.Errorf("printed\n%s", printed.String())
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 h", 59 * time.Minute: "0 h", 47*time.Hour + 59*time.Minute: "47 h", 48 * time.Hour: "2 d", 335 * 24 * time.Hour: "335 d",
		-time.Nanosecond: "over", -time.Hour: "over",
	} {
		if got := age(durationpb.New(d)); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
