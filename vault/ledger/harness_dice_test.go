package ledger_test

import (
	"crypto/rand"
	"encoding/binary"
	"os"
	"strconv"
	"testing"

	"github.com/google/uuid"
)

// seedVariable names the environment variable that repeats a run of the random tests.
const seedVariable = "CARDVAULT_TEST_SEED"

// newSeed draws a seed, and says how to draw the same again.
func newSeed(t *testing.T) uint64 {
	t.Helper()
	var seed uint64
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	} else {
		var b [8]byte
		if _, err := rand.Read(b[:]); err != nil {
			t.Fatal(err)
		}
		seed = binary.BigEndian.Uint64(b[:])
	}
	t.Logf("%s=%d", seedVariable, seed)
	return seed
}

// dice is chance that falls the same way every time.
type dice struct{ state uint64 }

// roll is SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
// Generators, OOPSLA 2014).
func (d *dice) roll() uint64 {
	d.state += 0x9e3779b97f4a7c15
	z := d.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (d *dice) below(n int) int { return int(d.roll() % uint64(n)) }

func (d *dice) oneIn(n int) bool { return d.below(n) == 0 }

func pick[T any](d *dice, of ...T) T { return of[d.below(len(of))] }

func (d *dice) bytes(n int) []byte {
	b := make([]byte, 0, n+7)
	for len(b) < n {
		b = binary.BigEndian.AppendUint64(b, d.roll())
	}
	return b[:n]
}

func (d *dice) id() uuid.UUID {
	id := uuid.UUID(d.bytes(16))
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}
