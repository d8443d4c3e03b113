package ship

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/audit"
)

// field is something that an entry says, by its name in a body.
type field struct{ name, value string }

// fields returns what an entry says, and nothing that it does not.
func (e *Event) fields() []field {
	a := &e.Entry
	all := []field{
		{"replica", id(a.Replica)},
		{"number", strconv.FormatInt(a.Number, 10)},
		{"principal", a.Principal},
		{"certificate_serial", a.CertSerial},
		{"tenant", a.Tenant},
		{"action", a.Action},
		{"decision", a.Decision.String()},
		{"policy", a.Policy},
		{"purpose", a.Purpose},
		{"view", a.View},
		{"card_id", id(a.Card)},
		{"key_id", id(a.Key)},
		{"bin_range", a.BINRange},
		{"request_id", id(a.RequestID)},
		{"result", a.Result},
		{"count", number(int64(a.Count))},
		{"index", number(a.Index)},
		{"digest", hash(a.Digest)},
	}
	if e.Dropped() {
		all = nil
	}
	said := all[:0]
	for _, f := range all {
		if f.value != "" {
			said = append(said, f)
		}
	}
	return said
}

func id(u uuid.UUID) string {
	if u == uuid.Nil {
		return ""
	}
	return u.String()
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func hash(h audit.Hash) string {
	if h == (audit.Hash{}) {
		return ""
	}
	return h.String()
}

// outcome is how an operation ended.
type outcome int

const (
	succeeded outcome = iota
	failed
	denied
)

func (e *Event) outcome() outcome {
	switch {
	case e.Dropped() || e.Entry.Decision == audit.Allow && e.Entry.Result == "OK":
		return succeeded
	case e.Entry.Decision == audit.Allow:
		return failed
	default:
		return denied
	}
}

// action names the operation; it is empty for an entry that was dropped.
func (e *Event) action() string {
	if e.Dropped() {
		return "Dropped"
	}
	return e.Entry.Action
}

// appendEscaped appends text with a backslash before each of special. What a
// terminal or a line reader might act on becomes U+FFFD: formats that have no
// escape for it cannot carry it, and it must not end the line or the value.
func appendEscaped(dst []byte, text, special string) []byte {
	for _, r := range text {
		switch {
		case strings.ContainsRune(special, r):
			dst = append(dst, '\\')
			dst = utf8.AppendRune(dst, r)
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			dst = append(dst, "\uFFFD"...)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}
