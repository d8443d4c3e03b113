package ship_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardvault/cardvault/vault/ship"
)

// childSize is how many entries the log of a child has.
const childSize = 1000

// child is what a process that is killed is told.
type child struct {
	State, Files, Syslog, Webhook string
	Kafka                         []string
	CA, Cert, Key                 string
}

// TestMain runs a shipper to every sink where it is told to, until it has delivered everything or is killed.
func TestMain(m *testing.M) {
	var c child
	if err := json.Unmarshal([]byte(os.Getenv("CARDVAULT_SHIP_CHILD")), &c); err != nil {
		os.Exit(m.Run())
	}
	if err := c.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (c *child) run() error {
	pair, err := tls.X509KeyPair([]byte(c.Cert), []byte(c.Key))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(c.CA))
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: []tls.Certificate{pair}}
	sinks := map[string]ship.Sink{}
	for name, open := range map[string]func() (ship.Sink, error){
		"files": func() (ship.Sink, error) {
			return ship.NewFiles(ship.FilesConfig{Folder: c.Files, Format: "jsonl", MaxBytes: 50_000})
		},
		"syslog": func() (ship.Sink, error) {
			return ship.NewSyslog(ship.SyslogConfig{Address: c.Syslog, TLS: config, Hostname: "h", Format: "jsonl"})
		},
		"kafka": func() (ship.Sink, error) {
			return ship.NewKafka(ship.KafkaConfig{Brokers: c.Kafka, Topic: "audit", Partition: 1, TLS: config, Format: "jsonl"})
		},
		"webhook": func() (ship.Sink, error) {
			return ship.NewWebhook(ship.WebhookConfig{URL: c.Webhook, TLS: config, Format: "jsonl", Origin: origin})
		},
	} {
		if sinks[name], err = open(); err != nil {
			return err
		}
	}
	return c.ship(sinks)
}

func (c *child) ship(sinks map[string]ship.Sink) error {
	l, err := makeTestLog("s", childSize)
	if err != nil {
		return err
	}
	s, err := ship.New(config(l, c.State, sinks))
	if err != nil {
		return err
	}
	s.Hasten()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for range time.Tick(time.Millisecond) {
		behind := false
		for name := range sinks {
			lag, _ := s.LagOf(name)
			behind = behind || lag.Entries > 0
		}
		select {
		case err := <-done:
			return err
		default:
		}
		if !behind && s.Size() == childSize {
			cancel()
			return <-done
		}
	}
	return nil
}

// The process is killed, again and again, at any time; every receiver has everything in order at the end.
func TestKilledProcessLosesNothing(t *testing.T) {
	s := newSite(t)
	cluster, syslog := newCluster(t, s), newCollector(t, s, nil)
	var mu sync.Mutex
	var posted []int64
	url := newReceiver(t, s, func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the process died
		}
		mu.Lock()
		defer mu.Unlock()
		posted = append(posted, indexesOf(t, strings.SplitAfter(string(body), "\n"))...)
	})
	folder := t.TempDir()
	c := child{
		State: filepath.Join(folder, "state"), Files: filepath.Join(folder, "files"), Syslog: syslog.listener.Addr().String(),
		Webhook: url, Kafka: cluster.ListenAddrs(), CA: s.ca, Cert: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.client.Certificate[0]})),
	}
	key, err := x509.MarshalPKCS8PrivateKey(s.client.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	c.Key = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))

	kills := 0
	for range 200 {
		if c.runAndKill(t) {
			break
		}
		kills++
	}
	if kills < 5 {
		t.Errorf("killed %d times only", kills)
	}
	if !c.runUntilDone(t) {
		t.Fatal("the last one did not end")
	}

	l := newTestLog(t, "s", childSize)
	lines, _ := readFolder(t, c.Files)
	if written := indexesOf(t, lines); len(written) != childSize {
		t.Errorf("%d entries are in files, want each once", len(written))
	} else {
		checkOrder(t, l, written)
	}
	checkOrder(t, l, posted)
	syslog.mu.Lock()
	defer syslog.mu.Unlock()
	var logged, produced []int64
	for _, m := range syslog.messages {
		index, err := strconv.ParseInt((*m.StructuredData)["cardvault@32473"]["log_index"], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		logged = append(logged, index)
	}
	checkOrder(t, l, logged)
	for _, r := range consume(t, s, cluster, strconv.Itoa(childSize-1)) {
		index, err := strconv.ParseInt(string(r.Key), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		produced = append(produced, index)
	}
	checkOrder(t, l, produced)
	t.Logf("%d kills; repeated: %d posted, %d logged, %d produced", kills, len(posted)-childSize, len(logged)-childSize, len(produced)-childSize)
}

// indexesOf reads the indexes of JSON lines, and fails where a line is not an entry of the test log.
func indexesOf(t *testing.T, lines []string) []int64 {
	t.Helper()
	var indexes []int64
	for _, line := range lines {
		if line == "" {
			continue
		}
		var read struct{ Index int64 }
		if err := json.Unmarshal([]byte(line), &read); err != nil {
			t.Errorf("%v: %s", err, line)
			continue
		}
		e := testEntry("s", read.Index)
		if want := fmt.Sprintf("{\"index\":%d,\"entry\":%s}\n", read.Index, e.Encode()); line != want {
			t.Errorf("got %s, want %s", line, want)
		}
		indexes = append(indexes, read.Index)
	}
	return indexes
}

func (c *child) start(t *testing.T) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	told, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "CARDVAULT_SHIP_CHILD="+string(told))
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, &out
}

// runAndKill kills a process at a random time after it moved a cursor; true: it was done before.
func (c *child) runAndKill(t *testing.T) bool {
	t.Helper()
	before := c.cursors()
	cmd, out := c.start(t)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for c.cursors() == before {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			return true
		case <-look.C:
		}
	}
	wait, err := rand.Int(rand.Reader, big.NewInt(int64(30*time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Duration(wait.Int64()))
	_ = cmd.Process.Kill()
	err = <-ended
	if err != nil && cmd.ProcessState.ExitCode() >= 0 { // it ended by itself, and not well
		t.Fatalf("%v: %s", err, out)
	}
	return err == nil
}

func (c *child) runUntilDone(t *testing.T) bool {
	t.Helper()
	cmd, out := c.start(t)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, out)
		return false
	}
	return true
}

// cursors returns the state as it stands.
func (c *child) cursors() string {
	var all strings.Builder
	paths, _ := filepath.Glob(filepath.Join(c.State, "*.json"))
	for _, path := range paths {
		text, _ := os.ReadFile(path)
		all.Write(text)
	}
	return all.String()
}
