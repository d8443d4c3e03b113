package audit

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

// MaxBody is the most bytes that a body has. C2SP tlog-tiles, "Entry bundles":
// an entry's length is a big-endian uint16.
const MaxBody = 1<<16 - 1

const (
	// maxPrincipal is the longest SPIFFE id (SPIFFE-ID §2.3: 2048 bytes).
	maxPrincipal = 2048
	// maxText bounds every other string. A byte of text becomes at most six of
	// JSON, so 6·(maxPrincipal + 8·maxText) and the rest stay below MaxBody.
	maxText = 256

	timeLayout = "2006-01-02T15:04:05.000000Z"
)

// Encode returns the entry's body: canonical JSON with fields in one order,
// fields without a value left out and no white space. Times are RFC 3339 in UTC
// with six decimals, hashes base64, and strings escape what RFC 8785 §3.2.2.2
// says and nothing else.
//
// It never fails, since a refusal has to be recorded whatever it was asked with:
// strings that are not UTF-8 get U+FFFD where they are broken, and a string
// longer than any the vault hands in (2048 bytes of Principal, 256 of others) is
// cut.
func (e *Entry) Encode() []byte {
	return e.AppendTo(make([]byte, 0, 768))
}

// AppendTo appends what Encode returns.
func (e *Entry) AppendTo(dst []byte) []byte {
	dst = append(dst, `{"v":1,"replica":"`...)
	dst = appendUUID(dst, e.Replica)
	dst = append(dst, `","number":`...)
	dst = strconv.AppendInt(dst, e.Number, 10)
	dst = appendHash(dst, `,"prev":"`, e.Prev)
	dst = append(dst, `,"time":"`...)
	dst = e.Time.UTC().AppendFormat(dst, timeLayout)
	dst = append(dst, '"')
	dst = appendText(dst, `,"principal":"`, e.Principal, maxPrincipal)
	dst = appendText(dst, `,"certificate_serial":"`, e.CertSerial, maxText)
	dst = appendText(dst, `,"tenant":"`, e.Tenant, maxText)
	dst = appendText(dst, `,"action":"`, e.Action, maxText)
	dst = appendText(dst, `,"decision":"`, e.Decision.String(), maxText)
	dst = appendText(dst, `,"policy":"`, e.Policy, maxText)
	dst = appendText(dst, `,"purpose":"`, e.Purpose, maxText)
	dst = appendText(dst, `,"view":"`, e.View, maxText)
	dst = appendID(dst, `,"card_id":"`, e.Card)
	dst = appendID(dst, `,"key_id":"`, e.Key)
	dst = appendText(dst, `,"bin_range":"`, e.BINRange, maxText)
	dst = appendID(dst, `,"request_id":"`, e.RequestID)
	dst = appendText(dst, `,"result":"`, e.Result, maxText)
	dst = appendNumber(dst, `,"count":`, int64(e.Count))
	dst = appendNumber(dst, `,"index":`, e.Index)
	dst = appendHash(dst, `,"digest":"`, e.Digest)
	return append(dst, '}')
}

func appendNumber(dst []byte, key string, n int64) []byte {
	if n == 0 {
		return dst
	}
	return strconv.AppendInt(append(dst, key...), n, 10)
}

func appendHash(dst []byte, key string, h Hash) []byte {
	if h == (Hash{}) {
		return dst
	}
	dst = append(dst, key...)
	dst = base64.StdEncoding.AppendEncode(dst, h[:])
	return append(dst, '"')
}

func appendID(dst []byte, key string, id uuid.UUID) []byte {
	if id == uuid.Nil {
		return dst
	}
	dst = append(dst, key...)
	dst = appendUUID(dst, id)
	return append(dst, '"')
}

func appendUUID(dst []byte, id uuid.UUID) []byte {
	dst = append(hex.AppendEncode(dst, id[0:4]), '-')
	dst = append(hex.AppendEncode(dst, id[4:6]), '-')
	dst = append(hex.AppendEncode(dst, id[6:8]), '-')
	dst = append(hex.AppendEncode(dst, id[8:10]), '-')
	return hex.AppendEncode(dst, id[10:16])
}

func appendText(dst []byte, key, value string, limit int) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, key...)
	if plain(value) && len(value) <= limit {
		dst = append(dst, value...)
	} else {
		dst = appendEscaped(dst, clean(value, limit))
	}
	return append(dst, '"')
}

// plain reports whether text is ASCII that JSON writes as it is.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// clean returns text as UTF-8 of at most limit bytes. What it returns it leaves
// as it is, or Parse would refuse what Encode wrote.
func clean(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= limit {
		return text
	}
	for !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// appendEscaped writes valid UTF-8 as RFC 8785 §3.2.2.2 does.
func appendEscaped(dst []byte, text string) []byte {
	const short = "btn\x00fr" // \b \t \n, no short form for U+000B, \f \r
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= '\b' && c <= '\r' && c != '\v':
			dst = append(dst, '\\', short[c-'\b'])
		case c < 0x20:
			dst = append(dst, `\u00`...)
			dst = hex.AppendEncode(dst, []byte{c})
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
