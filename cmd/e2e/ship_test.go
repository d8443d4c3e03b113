package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardvault/cardvault/vault/audit"
)

// TestShippedLogHasEverything follows a log that replicas write and die over, with a shipper that dies too.
func TestShippedLogHasEverything(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	key := s.publishKey(t)
	listen := freeAddress(t)
	r := s.serve(t, listenOn(listen))
	config := s.write(t, "ship.yaml", `
server:
  address: `+listen+`
  tls: {ca: `+s.path("ca.pem")+`, cert: `+s.path("staff-auditor.pem")+`, key: `+s.path("staff-auditor.key")+`}
log_keys: `+key+`
state: `+s.path("ship-state")+`
metrics: {listen: "127.0.0.1:0"}
sinks:
  files: {folder: `+s.path("shipped")+`}
`)
	ship := func() *process {
		return start(t, program(t, programs.cardvault(t), "audit", "ship", "--config", config))
	}
	shipper := ship()
	var last string
	for i := range 4 {
		issuer := r.as(t, "issuer")
		for range 5 {
			last = receiptOf(issuer.tokenize(t, luhn(t, "40000012345678"+string(rune('0'+i))), nil).GetReceipt())
		}
		awaitShipped(t, s.path("shipped"), last)
		shipper.kill(t)
		r.kill(t)
		r = s.serve(t, listenOn(listen))
		shipper = ship()
	}

	indexes, bodies := shipped(t, s.path("shipped"))
	if !slices.IsSorted(indexes) {
		t.Error("entries were shipped out of order")
	}
	indexes = slices.Compact(indexes)
	if indexes[0] != 0 || indexes[len(indexes)-1] != int64(len(indexes)-1) {
		t.Errorf("%d entries were shipped, from %d to %d", len(indexes), indexes[0], indexes[len(indexes)-1])
	}
	for _, body := range bodies {
		if _, err := audit.Parse(body); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}

	// A log that is not the one it was is not shipped.
	shipper.kill(t)
	other := s.write(t, "ship-other.yaml", strings.Replace(s.read(t, "ship.yaml"), key, s.otherKey(t, key), 1))
	s.run(t, "audit", "ship", "--config", other).must(t, exitFailed).says(t, "NOT_VERIFIED")
}

// awaitShipped waits until the entry of a receipt stands in the files.
func awaitShipped(t testing.TB, folder, receipt string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		_, bodies := shipped(t, folder)
		for _, body := range bodies {
			if e, err := audit.Parse(body); err == nil && receipt == fmt.Sprintf("%s/%d", e.Replica, e.Number) {
				return
			}
		}
	}
	t.Fatalf("the entry %s was not shipped", receipt)
}

// shipped reads the files in the order of their names.
func shipped(t testing.TB, folder string) (indexes []int64, bodies [][]byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var line struct {
				Index int64
				Entry json.RawMessage
			}
			if json.Unmarshal(lines.Bytes(), &line) != nil {
				continue // one that is being written
			}
			indexes, bodies = append(indexes, line.Index), append(bodies, line.Entry)
		}
		_ = f.Close()
	}
	return indexes, bodies
}
