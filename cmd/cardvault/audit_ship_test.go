package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

const leastShipConfig = `
server: {address: "vault:7443", tls: {ca: a, cert: b, key: c}}
log_keys: d
state: e
sinks: {files: {folder: f}}
`

func parseShipConfig(t *testing.T, text string) (shipConfig, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ship.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return readShipConfig(path)
}

func TestShipConfig(t *testing.T) {
	c, err := parseShipConfig(t, leastShipConfig)
	if err != nil {
		t.Fatal(err)
	}
	want := shipDefaults()
	want.Server = shipServerConfig{"vault:7443", shipTLSConfig{CA: "a", Cert: "b", Key: "c"}}
	want.LogKeys, want.State, want.Sinks.Files.Folder = "d", "e", "f"
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
	if !c.Sinks.Files.configured() || c.Sinks.Kafka.configured() || c.Sinks.Syslog.configured() || c.Sinks.Webhook.configured() {
		t.Error("other sinks are configured than the file says")
	}
}

func TestShipConfigRefuses(t *testing.T) {
	with := func(more string) string { return leastShipConfig + more }
	sinks := func(s string) string { return strings.Replace(leastShipConfig, "files: {folder: f}", s, 1) }
	for text, want := range map[string]string{
		"":                           "server.address",
		with("more: x"):              "more: unknown key",
		with("alarm: {entries: 0}"):  "alarm.entries",
		with("alarm: {age: 1ms}"):    "alarm.age",
		with("metrics: {listen: x}"): "metrics.listen",
		with("log: {level: loud}"):   "log.level",
		strings.ReplaceAll(leastShipConfig, "ca: a, ", ""):  "server.tls.ca",
		strings.ReplaceAll(leastShipConfig, ", key: c", ""): "server.tls.cert: want it together",
		sinks(""):                                                 "at least one",
		sinks("s3: {}"):                                           "line 5: sinks.?: unknown key",
		sinks("files: {format: cef}"):                             "sinks.files.folder",
		sinks("files: {folder: f, format: xml}"):                  "sinks.files.format",
		sinks("files: {folder: f, max_mib: 0}"):                   "sinks.files.max_mib",
		sinks("syslog: {address: x}"):                             "sinks.syslog.address",
		sinks(`syslog: {address: "x:1", tls: {key: a}}`):          "sinks.syslog.tls.cert",
		sinks("kafka: {topic: t}"):                                "sinks.kafka.brokers",
		sinks("kafka: {brokers: 'a:1, b', topic: t}"):             "sinks.kafka.brokers",
		sinks("kafka: {brokers: 'a:1'}"):                          "sinks.kafka.topic",
		sinks("kafka: {brokers: 'a:1', topic: t, partition: -1}"): "sinks.kafka.partition",
		sinks("webhook: {url: 'http://x/'}"):                      "sinks.webhook.url",
		sinks("webhook: {url: 'https://u:hunter2@x/'}"):           "sinks.webhook.url",
	} {
		_, err := parseShipConfig(t, text)
		if err == nil || !strings.Contains(err.Error(), want) || asExit(err).code != exitUsage {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error repeats a password: %v", err)
		}
	}
}

// The configuration that operators start from. It has every setting, with the default where it is commented out.
func TestDeployedShipConfig(t *testing.T) {
	const path = "../../deploy/ship.yaml"
	c, err := readShipConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	s := shipDefaults()
	if c.Metrics != s.Metrics || c.Alarm != s.Alarm || c.Log != s.Log || c.Sinks.Files.MaxMiB != s.Sinks.Files.MaxMiB {
		t.Errorf("it says other defaults than there are: %+v", c)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for key := range yamlKeys(reflect.TypeFor[shipConfig]()) {
		if !strings.Contains(string(text), key+":") {
			t.Errorf("it does not mention %s", key)
		}
	}
	// What is commented out reads as settings too.
	var whole strings.Builder
	for line := range strings.Lines(string(text)) {
		trimmed := strings.TrimLeft(line, " ")
		if setting, ok := strings.CutPrefix(trimmed, "# "); ok && isSetting(setting) {
			line = strings.Replace(line, "# ", "", 1)
		}
		whole.WriteString(line)
	}
	commented, err := parseShipConfig(t, whole.String())
	if err != nil {
		t.Fatalf("%v in\n%s", err, whole.String())
	}
	if commented.Alarm != s.Alarm || commented.Metrics != s.Metrics || commented.Log != s.Log || commented.Sinks.Kafka.Partition != 0 {
		t.Errorf("defaults are commented as %+v", commented)
	}
}

// isSetting tells a setting that is commented out from a sentence.
func isSetting(line string) bool {
	var node map[string]any
	key, _, _ := strings.Cut(strings.TrimSpace(line), ":")
	return yaml.Unmarshal([]byte(line), &node) == nil && len(node) == 1 && strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_") == "" && !strings.Contains(line, ". ")
}

func yamlKeys(t reflect.Type) map[string]bool {
	keys := map[string]bool{}
	for i := range t.NumField() {
		keys[t.Field(i).Tag.Get("yaml")] = true
		if f := t.Field(i).Type; f.Kind() == reflect.Struct {
			for key := range yamlKeys(f) {
				keys[key] = true
			}
		}
	}
	return keys
}

// Two processes on one state would move each other's cursors.
func TestShipStateIsLocked(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	lock, err := lockShipState(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockShipState(folder); err == nil {
		t.Error("a second process may have it")
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	lock, err = lockShipState(folder)
	if err != nil {
		t.Fatal(err)
	}
	_ = lock.Close()
}

// A certificate that is renewed takes no restart; one that is missing does not start.
func TestShipCertificateIsReadAgain(t *testing.T) {
	folder := t.TempDir()
	c := shipTLSConfig{Cert: filepath.Join(folder, "cert.pem"), Key: filepath.Join(folder, "key.pem")}
	if _, err := c.client("tls"); err == nil || !strings.Contains(err.Error(), "tls.cert") {
		t.Errorf("no certificate: %v", err)
	}
	if _, err := (&shipTLSConfig{CA: c.Cert}).client("tls"); err == nil || !strings.Contains(err.Error(), "tls.ca") {
		t.Errorf("no CA: %v", err)
	}
	writeShipCertificate(t, c, 1)
	config, err := c.client("tls")
	if err != nil {
		t.Fatal(err)
	}
	writeShipCertificate(t, c, 2)
	pair, err := config.GetClientCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	if serial := pair.Leaf.SerialNumber.Int64(); serial != 2 {
		t.Errorf("certificate %d is used, want 2", serial)
	}
}

func writeShipCertificate(t *testing.T, c shipTLSConfig, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{c.Cert: {Type: "CERTIFICATE", Bytes: cert}, c.Key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
