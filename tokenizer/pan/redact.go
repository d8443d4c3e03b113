package pan

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/cardvault/cardvault/crypto/secret"
)

// String returns [secret.Redacted].
func (PAN) String() string { return secret.Redacted }

// GoString returns [secret.Redacted].
func (PAN) GoString() string { return secret.Redacted }

// Format writes [secret.Redacted] whatever the verb, flags, width and precision.
func (PAN) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secret.Redacted) }

// LogValue returns [secret.Redacted] for log/slog.
func (PAN) LogValue() slog.Value { return slog.StringValue(secret.Redacted) }

// MarshalJSON returns [secret.Redacted] as a JSON string.
func (PAN) MarshalJSON() ([]byte, error) { return []byte(`"` + secret.Redacted + `"`), nil }

// MarshalText returns [secret.Redacted], for XML, YAML and every other encoder that asks for text.
func (PAN) MarshalText() ([]byte, error) { return []byte(secret.Redacted), nil }
