package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what a secret prints as, in every format.
const Redacted = "[redacted]"

// String returns [Redacted].
func (Bytes) String() string { return Redacted }

// GoString returns [Redacted].
func (Bytes) GoString() string { return Redacted }

// Format writes [Redacted] whatever the verb, flags, width and precision, so that %x and %d show as little as %v.
func (Bytes) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// LogValue returns [Redacted] for log/slog.
func (Bytes) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalJSON returns [Redacted] as a JSON string.
func (Bytes) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalText returns [Redacted], for XML, YAML and every other encoder that asks for text.
func (Bytes) MarshalText() ([]byte, error) { return []byte(Redacted), nil }
