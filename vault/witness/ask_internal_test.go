package witness

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// TestCosignatureWithoutTime: a cosignature whose time is zero says nothing about now,
// good as its signature is.
func TestCosignatureWithoutTime(t *testing.T) {
	key, err := NewKey("witness.example/w1")
	check(t, err)
	own, err := key.Verifier()
	check(t, err)
	const text = "log.example/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
	sign := func(at uint64) string {
		raw := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, key.id), at)
		raw = append(raw, ed25519.Sign(key.private(), fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text))...)
		return "— " + key.name + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
	}
	m := &member{key: own}
	for at, good := range map[uint64]bool{0: false, 1: true, 1 << 63: false} {
		if lines, err := m.verified(text, []byte(sign(at))); (err == nil) != good || good && len(lines) != 1 {
			t.Errorf("time %d: %q, %v", at, lines, err)
		}
	}
	// The same, as the key itself writes it.
	if line, err := key.Cosign(text, time.Unix(1, 0)); err != nil || line != sign(1) {
		t.Errorf("%q, %v", line, err)
	}
}

func TestConflict(t *testing.T) {
	for name, c := range map[string]struct {
		mediaType, body string
		size            int64
		ok              bool
	}{
		"a size":            {"text/x.tlog.size", "7\n", 7, true},
		"with a parameter":  {"text/x.tlog.size; charset=utf-8", "0\n", 0, true},
		"another type":      {"text/plain", "7\n", 0, false},
		"no type":           {"", "7\n", 0, false},
		"no newline":        {"text/x.tlog.size", "7", 0, false},
		"a zero before":     {"text/x.tlog.size", "07\n", 0, false},
		"nothing":           {"text/x.tlog.size", "\n", 0, false},
		"more than a size":  {"text/x.tlog.size", "7\n8\n", 0, false},
		"more than 63 bits": {"text/x.tlog.size", "9223372036854775807\n", 0, false},
	} {
		told, ok := errors.AsType[*conflictError](conflict(http.Header{"Content-Type": {c.mediaType}}, []byte(c.body)))
		if ok != c.ok || ok && told.size != c.size {
			t.Errorf("%s: %+v", name, told)
		}
	}
}
