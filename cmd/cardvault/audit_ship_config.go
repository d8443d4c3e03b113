package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cardvault/cardvault/vault/ship"
)

// shipConfig is what `audit ship` reads: one YAML document, as strict as that of
// `serve`. Certificates are read for each new connection, and a token for each
// request; a change of anything else takes a restart.
type shipConfig struct {
	Server shipServerConfig `yaml:"server"`
	// LogKeys is a file with the log's verifier keys, one a line. Required.
	LogKeys string `yaml:"log_keys"`
	// State is the folder of the cursors. Required.
	State   string          `yaml:"state"`
	Metrics metricsConfig   `yaml:"metrics"`
	Alarm   shipAlarmConfig `yaml:"alarm"`
	Sinks   shipSinksConfig `yaml:"sinks"`
	Log     logConfig       `yaml:"log"`
}

// shipServerConfig is where the log is, and as whom to read it.
type shipServerConfig struct {
	// Address is host:port. Required.
	Address string `yaml:"address"`
	// TLS has a client certificate of staff. Required, with ca.
	TLS shipTLSConfig `yaml:"tls"`
}

// shipTLSConfig is a client's side of TLS. All files are PEM.
type shipTLSConfig struct {
	// CA holds the authorities that vouch for the server. Default: those of the system.
	CA string `yaml:"ca"`
	// Name is the server's name in its certificate. Default: the host of the address.
	Name string `yaml:"name"`
	// Cert and Key are the client's certificate and its key. Default: none.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// shipAlarmConfig bounds how far a sink may be behind.
type shipAlarmConfig struct {
	// Entries that were not delivered. Default 10000.
	Entries int `yaml:"entries"`
	// Age of the oldest of them. Default 5m.
	Age time.Duration `yaml:"age"`
}

// shipSinksConfig is where entries go: at least one of these. Formats are jsonl,
// the entry as it was hashed; ocsf; or cef.
type shipSinksConfig struct {
	Files   shipFilesConfig   `yaml:"files"`
	Syslog  shipSyslogConfig  `yaml:"syslog"`
	Kafka   shipKafkaConfig   `yaml:"kafka"`
	Webhook shipWebhookConfig `yaml:"webhook"`
}

// shipFilesConfig is files in a folder.
type shipFilesConfig struct {
	// Folder is made where it is missing. Required.
	Folder string `yaml:"folder"`
	// Format defaults to jsonl.
	Format string `yaml:"format"`
	// MaxMiB is where a file is full, 1 to 10240. Default 100. A day in UTC ends one too.
	MaxMiB int `yaml:"max_mib"`
}

// shipSyslogConfig is a syslog collector: RFC 5424 over TLS.
type shipSyslogConfig struct {
	// Address is host:port. Required.
	Address string        `yaml:"address"`
	TLS     shipTLSConfig `yaml:"tls"`
	// Format of the message. Default jsonl.
	Format string `yaml:"format"`
	// Hostname to send. Default: that of this machine.
	Hostname string `yaml:"hostname"`
}

// shipKafkaConfig is a topic of Kafka.
type shipKafkaConfig struct {
	// Brokers to begin with: host:port, with commas between. Required.
	Brokers string        `yaml:"brokers"`
	TLS     shipTLSConfig `yaml:"tls"`
	// Topic is there already. Required.
	Topic string `yaml:"topic"`
	// Partition takes all records, so that they keep their order. Default 0.
	Partition int `yaml:"partition"`
	// Format defaults to jsonl.
	Format string `yaml:"format"`
}

// shipWebhookConfig is an HTTPS server.
type shipWebhookConfig struct {
	// URL is https://. Required.
	URL string        `yaml:"url"`
	TLS shipTLSConfig `yaml:"tls"`
	// TokenFile holds a bearer token. Default: none.
	TokenFile string `yaml:"token_file"`
	// Format defaults to jsonl.
	Format string `yaml:"format"`
}

func (c *shipFilesConfig) configured() bool   { return *c != shipDefaults().Sinks.Files }
func (c *shipSyslogConfig) configured() bool  { return *c != shipDefaults().Sinks.Syslog }
func (c *shipKafkaConfig) configured() bool   { return *c != shipDefaults().Sinks.Kafka }
func (c *shipWebhookConfig) configured() bool { return *c != shipDefaults().Sinks.Webhook }

// shipDefaults is the configuration of an empty file.
func shipDefaults() shipConfig {
	return shipConfig{
		Metrics: metricsConfig{Listen: "127.0.0.1:7445"},
		Alarm:   shipAlarmConfig{Entries: 10_000, Age: 5 * time.Minute},
		Sinks: shipSinksConfig{
			Files: shipFilesConfig{Format: "jsonl", MaxMiB: 100}, Syslog: shipSyslogConfig{Format: "jsonl"},
			Kafka: shipKafkaConfig{Format: "jsonl"}, Webhook: shipWebhookConfig{Format: "jsonl"},
		},
		Log: logConfig{Level: "info"},
	}
}

// readShipConfig reads, decodes and checks a file.
func readShipConfig(path string) (shipConfig, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return shipConfig{}, usage("name a configuration file with --config", "configuration: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	c := shipDefaults()
	if err = errors.Join(err, f.Close()); err == nil && len(text) > maxConfig {
		err = errors.New("longer than 1 MiB")
	}
	if err == nil {
		err = decodeYAML(text, &c)
	}
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return shipConfig{}, usage("correct the file and start again", "%s: %w", path, err)
	}
	return c, nil
}

// check refuses what is missing or makes no sense.
func (c *shipConfig) check() error {
	s := &c.Sinks
	err := errors.Join(
		hostPort("server.address", c.Server.Address),
		required("server.tls.ca", c.Server.TLS.CA),
		required("server.tls.cert", c.Server.TLS.Cert),
		c.Server.TLS.check("server.tls"),
		required("log_keys", c.LogKeys),
		required("state", c.State),
		hostPort("metrics.listen", c.Metrics.Listen),
		numberBetween("alarm.entries", c.Alarm.Entries, 1, 1<<31-1),
		between("alarm.age", c.Alarm.Age, time.Second, 366*24*time.Hour),
		c.Log.check(),
	)
	if !s.Files.configured() && !s.Syslog.configured() && !s.Kafka.configured() && !s.Webhook.configured() {
		err = errors.Join(err, errors.New("sinks: want at least one of files, syslog, kafka and webhook"))
	}
	return errors.Join(err, s.Files.check(), s.Syslog.check(), s.Kafka.check(), s.Webhook.check())
}

func (t *shipTLSConfig) check(path string) error {
	return together(path+".cert", t.Cert, path+".key", t.Key)
}

func (c *shipFilesConfig) check() error {
	if !c.configured() {
		return nil
	}
	return errors.Join(required("sinks.files.folder", c.Folder), shipFormat("sinks.files.format", c.Format),
		numberBetween("sinks.files.max_mib", c.MaxMiB, 1, 10_240))
}

func (c *shipSyslogConfig) check() error {
	if !c.configured() {
		return nil
	}
	return errors.Join(hostPort("sinks.syslog.address", c.Address), shipFormat("sinks.syslog.format", c.Format),
		c.TLS.check("sinks.syslog.tls"))
}

func (c *shipKafkaConfig) check() error {
	if !c.configured() {
		return nil
	}
	err := errors.Join(required("sinks.kafka.topic", c.Topic), shipFormat("sinks.kafka.format", c.Format),
		numberBetween("sinks.kafka.partition", c.Partition, 0, 1<<31-1), c.TLS.check("sinks.kafka.tls"))
	for _, broker := range c.brokers() {
		err = errors.Join(err, hostPort("sinks.kafka.brokers", broker))
	}
	return err
}

func (c *shipKafkaConfig) brokers() []string {
	brokers := strings.Split(c.Brokers, ",")
	for i := range brokers {
		brokers[i] = strings.TrimSpace(brokers[i])
	}
	return brokers
}

func (c *shipWebhookConfig) check() error {
	if !c.configured() {
		return nil
	}
	err := errors.Join(shipFormat("sinks.webhook.format", c.Format), c.TLS.check("sinks.webhook.tls"))
	if u, bad := url.Parse(c.URL); bad != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		err = errors.Join(err, errors.New("sinks.webhook.url: want https://host/path"))
	}
	return err
}

func shipFormat(path, name string) error {
	if !slices.Contains([]string{"jsonl", "ocsf", "cef"}, name) {
		return errors.New(path + ": want jsonl, ocsf or cef")
	}
	return nil
}

func (c *shipFilesConfig) open() (ship.Sink, error) {
	return ship.NewFiles(ship.FilesConfig{Folder: c.Folder, Format: c.Format, MaxBytes: int64(c.MaxMiB) << 20})
}

func (c *shipSyslogConfig) open() (ship.Sink, error) {
	config, err := c.TLS.client("tls")
	if err != nil {
		return nil, err
	}
	hostname := c.Hostname
	if hostname == "" {
		if hostname, err = os.Hostname(); err != nil {
			return nil, err
		}
	}
	return ship.NewSyslog(ship.SyslogConfig{Address: c.Address, TLS: config, Hostname: hostname, Format: c.Format})
}

func (c *shipKafkaConfig) open() (ship.Sink, error) {
	config, err := c.TLS.client("tls")
	if err != nil {
		return nil, err
	}
	return ship.NewKafka(ship.KafkaConfig{
		Brokers: c.brokers(), Topic: c.Topic, Partition: int32(c.Partition), //nolint:gosec // checked
		TLS: config, Format: c.Format,
	})
}

func (c *shipWebhookConfig) open(origin string) (ship.Sink, error) {
	config, err := c.TLS.client("tls")
	if err != nil {
		return nil, err
	}
	return ship.NewWebhook(ship.WebhookConfig{URL: c.URL, TLS: config, TokenFile: c.TokenFile, Format: c.Format, Origin: origin})
}

// client makes a TLS configuration. The certificate is read again for each
// connection, so that one that is renewed takes no restart.
func (t *shipTLSConfig) client(path string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.Name}
	if t.CA != "" {
		roots, err := readCertPool(t.CA)
		if err != nil {
			return nil, fmt.Errorf("%s.ca: %w", path, err)
		}
		config.RootCAs = roots
	}
	if t.Cert == "" {
		return config, nil
	}
	load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("%s.cert: %w", path, err)
		}
		return &pair, nil
	}
	if _, err := load(nil); err != nil {
		return nil, err
	}
	config.GetClientCertificate = load
	return config, nil
}
