package audit_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/audit"
)

type goldenEntry struct {
	entry audit.Entry
	body  string
	hash  string
}

// golden holds bodies as they lie in logs already. None may ever change: a proof
// given out holds their hashes.
func golden() []goldenEntry {
	replica := uuid.MustParse("6f1d0d0e-5a3b-4c7e-9d2a-0b1c2d3e4f50")
	return []goldenEntry{
		{
			entry: audit.Entry{
				Replica: replica, Number: 0, Time: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
				Principal: "spiffe://cardvault.test/tenant/demo/issuer", CertSerial: "5f3c", Tenant: "demo",
				Action: "IssueCard", Decision: audit.Allow, Policy: "issuer-cards",
				Card: uuid.MustParse("c0ffee00-1111-4222-8333-444455556666"), Key: uuid.MustParse("0a0b0c0d-0e0f-4a1b-8c2d-3e4f5a6b7c8d"),
				BINRange: "demo-visa", RequestID: uuid.MustParse("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"), Result: "OK",
			},
			body: `{"v":1,"replica":"6f1d0d0e-5a3b-4c7e-9d2a-0b1c2d3e4f50","number":0,"time":"2026-01-02T03:04:05.000006Z",` +
				`"principal":"spiffe://cardvault.test/tenant/demo/issuer","certificate_serial":"5f3c","tenant":"demo",` +
				`"action":"IssueCard","decision":"allow","policy":"issuer-cards","card_id":"c0ffee00-1111-4222-8333-444455556666",` +
				`"key_id":"0a0b0c0d-0e0f-4a1b-8c2d-3e4f5a6b7c8d","bin_range":"demo-visa",` +
				`"request_id":"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee","result":"OK"}`,
			hash: "LwsHrBjy+SMvYRMmbCdojaxjJwike1lrWtJVw9tGr4U=",
		},
		{
			entry: audit.Entry{
				Replica: replica, Number: 9223372036854775807, Prev: audit.Hash{0: 0x01, 31: 0xff}, Time: time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
				Principal: "spiffe://cardvault.test/tenant/demo/support", CertSerial: "0", Tenant: "demo",
				Action: "DetokenizeCard", Decision: audit.Deny, Purpose: "support", View: "FULL", Result: "PERMISSION_DENIED",
			},
			body: `{"v":1,"replica":"6f1d0d0e-5a3b-4c7e-9d2a-0b1c2d3e4f50","number":9223372036854775807,` +
				`"prev":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAP8=","time":"9999-12-31T23:59:59.999999Z",` +
				`"principal":"spiffe://cardvault.test/tenant/demo/support","certificate_serial":"0","tenant":"demo",` +
				`"action":"DetokenizeCard","decision":"deny","purpose":"support","view":"FULL","result":"PERMISSION_DENIED"}`,
			hash: "Ja4ZQNS7kqfxGLldPpN4jXanG/FJLUOnzTvVKxI0Ymo=",
		},
		{
			entry: audit.Entry{
				Number: 7, Prev: audit.Hash{1}, Time: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC),
				Principal: "\"\\/\b\t\n\v\f\r\x00\x1f\x7f<>&\u0085\u2028é字😀", Action: "ListCards", Decision: audit.Allow, Result: "OK", Count: 1000,
			},
			body: `{"v":1,"replica":"00000000-0000-0000-0000-000000000000","number":7,` +
				`"prev":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","time":"1999-01-01T00:00:00.000000Z",` +
				`"principal":"\"\\/\b\t\n\u000b\f\r\u0000\u001f` + "\x7f<>&\u0085\u2028é字😀" + `","action":"ListCards","decision":"allow","result":"OK","count":1000}`,
			hash: "9AOPJ56nijGnl/1dkyCKXvvAr5T8BLPBIdcBM0J5VrU=",
		},
	}
}

func TestGoldenBodies(t *testing.T) {
	for _, g := range golden() {
		if diff := cmp.Diff(g.body, string(g.entry.Encode())); diff != "" {
			t.Errorf("body of entry %d (-want +got):\n%s", g.entry.Number, diff)
		}
		if got := audit.LeafHash([]byte(g.body)).String(); got != g.hash {
			t.Errorf("leaf hash of entry %d is %s, want %s", g.entry.Number, got, g.hash)
		}
		got, err := audit.Parse([]byte(g.body))
		if err != nil {
			t.Errorf("Parse of entry %d: %v", g.entry.Number, err)
		}
		if diff := cmp.Diff(g.entry, got); diff != "" {
			t.Errorf("entry %d (-want +got):\n%s", g.entry.Number, diff)
		}
	}
}
