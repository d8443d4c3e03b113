package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"

	"github.com/cardvault/cardvault/vault/ship"
)

// open makes the sinks that are configured.
func (s *shipSinksConfig) open(origin string) (map[string]ship.Sink, error) {
	sinks := map[string]ship.Sink{}
	for _, kind := range []struct {
		name       string
		configured bool
		open       func() (ship.Sink, error)
	}{
		{"files", s.Files.configured(), s.Files.open},
		{"syslog", s.Syslog.configured(), s.Syslog.open},
		{"kafka", s.Kafka.configured(), s.Kafka.open},
		{"webhook", s.Webhook.configured(), func() (ship.Sink, error) { return s.Webhook.open(origin) }},
	} {
		if !kind.configured {
			continue
		}
		sink, err := kind.open()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("sinks.%s: %w", kind.name, err), closeSinks(sinks))
		}
		sinks[kind.name] = sink
	}
	return sinks, nil
}

func closeSinks(sinks map[string]ship.Sink) error {
	var errs []error
	for _, sink := range sinks {
		errs = append(errs, sink.Close())
	}
	return errors.Join(errs...)
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
