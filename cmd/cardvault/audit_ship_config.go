package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"
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
