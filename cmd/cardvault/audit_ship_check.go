package main

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"
)

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
