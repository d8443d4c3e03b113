package fingerprint

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/cardvault/cardvault/crypto/secret"
)

// Whatever waits in the pool may end up in a core dump, from the first use on.
func TestBuffersKeepNothing(t *testing.T) {
	pan := []byte("9000000000000001")
	h := newKeyedHash(secret.Random(KeySize).Reveal())

	h.input = append(h.input, pan...)
	if !holds(reflect.ValueOf(h), pan) {
		t.Fatal("the search does not find what is there")
	}
	for use := range 3 {
		h.fingerprint("cardvault/pan/v1", [][]byte{pan})
		if holds(reflect.ValueOf(h), pan) {
			t.Errorf("the buffers keep the value after use %d", use+1)
		}
		if h.sum != [32]byte{} {
			t.Errorf("the buffers keep the sum after use %d", use+1)
		}
	}
}

// holds reports whether needle stands in bytes that can be reached from v, within
// the whole capacity of slices.
func holds(v reflect.Value, needle []byte) bool {
	switch kind := v.Kind(); {
	case kind == reflect.Pointer || kind == reflect.Interface:
		return !v.IsNil() && holds(v.Elem(), needle)
	case kind == reflect.Struct:
		for _, field := range v.Fields() {
			if holds(field, needle) {
				return true
			}
		}
		return false
	case kind == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		return bytes.Contains(v.Slice(0, v.Cap()).Bytes(), needle)
	case kind == reflect.Array && v.Type().Elem().Kind() == reflect.Uint8:
		return bytes.Contains(v.Slice(0, v.Len()).Bytes(), needle)
	default:
		return false
	}
}
