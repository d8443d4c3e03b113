package ship

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// KafkaConfig is where records go.
type KafkaConfig struct {
	// Brokers to begin with, host:port.
	Brokers []string
	Topic   string
	// Partition takes all records: a topic keeps the order within a partition and not
	// between them.
	Partition int32
	TLS       *tls.Config
	// Format is a name of Encoders.
	Format string
}

// produceTimeout bounds a delivery.
const produceTimeout = 30 * time.Second

// Kafka produces a record for each entry: its key is the index, in decimal digits,
// its timestamp the entry's. Delivered means that all in-sync replicas of the
// partition have it. The producer is idempotent, so that its own retries neither
// repeat nor reorder records; a delivery that failed as a whole, or that the
// process did not live to see, is repeated and then found by its keys.
type Kafka struct {
	cfg    KafkaConfig
	encode Encoder
	client *kgo.Client
}

// NewKafka checks the configuration; it connects at the first delivery.
func NewKafka(cfg KafkaConfig) (*Kafka, error) {
	encode, ok := Encoders()[cfg.Format]
	if !ok {
		return nil, errors.New("kafka: unknown format")
	}
	if cfg.TLS == nil {
		return nil, errors.New("kafka: want TLS")
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(cfg.Brokers...),
		kgo.ClientID("cardvault"),
		kgo.DialTLSConfig(cfg.TLS.Clone()),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0),
		kgo.MetadataMinAge(time.Second/2),     // a partition that moves is found again soon
		kgo.ProducerBatchMaxBytes(maxBytes/4), // what brokers take by default
		// A broker that takes records and never answers would hold the delivery for
		// ever. Giving up on it may repeat records, which is allowed, and never reorders
		// them: after one failed, all that follow in the partition fail.
		kgo.AllowIdempotentProduceCancellation(),
	)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return &Kafka{cfg, encode, client}, nil
}

// Deliver produces events.
func (s *Kafka) Deliver(ctx context.Context, events []Event) error {
	records := make([]*kgo.Record, len(events))
	for i := range events {
		e := &events[i]
		records[i] = &kgo.Record{
			Topic: s.cfg.Topic, Partition: s.cfg.Partition,
			Key: strconv.AppendInt(nil, e.Index, 10), Value: s.encode(nil, e),
		}
		if !e.Dropped() {
			records[i].Timestamp = e.Entry.Time
		}
	}
	// By the context: the client's own timeout counts from a record's timestamp.
	ctx, cancel := context.WithTimeout(ctx, produceTimeout)
	defer cancel()
	if err := s.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	return nil
}

// Close ends the connections.
func (s *Kafka) Close() error {
	s.client.Close()
	return nil
}
