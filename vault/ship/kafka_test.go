package ship_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cardvault/cardvault/vault/ship"
)

func newCluster(t testing.TB, s *site) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(4, "audit"), kfake.TLS(s.serverTLS()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func newKafka(t testing.TB, s *site, c *kfake.Cluster) *ship.Kafka {
	t.Helper()
	sink, err := ship.NewKafka(ship.KafkaConfig{Brokers: c.ListenAddrs(), Topic: "audit", Partition: 2, TLS: s.clientTLS(), Format: "jsonl"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sink.Close() })
	return sink
}

// consume reads the partition up to a record's key.
func consume(t testing.TB, s *site, c *kfake.Cluster, until string) []*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DialTLSConfig(s.clientTLS()), kgo.ConsumeTopics("audit"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var records []*kgo.Record
	for len(records) == 0 || string(records[len(records)-1].Key) != until {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

func TestKafkaProducesInOrder(t *testing.T) {
	s := newSite(t)
	c := newCluster(t, s)
	sink := newKafka(t, s, c)
	list := events("s", 0, 3000)
	for chunk := range slices.Chunk(list, 700) {
		deliver(t, sink, chunk)
	}
	records := consume(t, s, c, "2999")
	if len(records) != len(list) {
		t.Fatalf("%d records came, want %d", len(records), len(list))
	}
	for i, r := range records {
		if r.Partition != 2 || string(r.Key) != strconv.Itoa(i) || string(r.Value) != string(ship.AppendJSON(nil, &list[i])) ||
			!r.Timestamp.Equal(list[i].Entry.Time.Truncate(time.Millisecond)) {
			t.Fatalf("record %d is %s of partition %d, %v", i, r.Key, r.Partition, r.Timestamp)
		}
	}
}

// Brokers that fail, and those that fail after they took the records, do not lose, repeat or reorder any.
func TestKafkaSurvivesBrokers(t *testing.T) {
	s := newSite(t)
	c := newCluster(t, s)
	sink := newKafka(t, s, c)
	list := events("s", 0, 200)
	for i, chunk := range slices.Collect(slices.Chunk(list, 50)) {
		code := []*kerr.Error{kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut}[i%4]
		c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: code, Count: 2})
		deliver(t, sink, chunk)
	}
	var keys []string
	for _, r := range consume(t, s, c, "199") {
		keys = append(keys, string(r.Key))
	}
	for i, key := range keys {
		if key != strconv.Itoa(i) {
			t.Fatalf("record %d has the key %s", i, key)
		}
	}
}

// A cluster that refuses is an error, and the same delivery works later.
func TestKafkaRefuses(t *testing.T) {
	s := newSite(t)
	c := newCluster(t, s)
	sink := newKafka(t, s, c)
	fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	if err := sink.Deliver(t.Context(), events("s", 0, 10)); err == nil {
		t.Fatal("delivered")
	}
	fault.Remove()
	deliver(t, sink, events("s", 0, 10))
	if records := consume(t, s, c, "9"); string(records[0].Key) != "0" {
		t.Errorf("begins with %s", records[0].Key)
	}
}
