package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// ErrMalformed is returned by Parse for a body that no entry has. It does not
// say what stands there.
var ErrMalformed = errors.New("malformed audit entry")

// Parse reads a body. It accepts one exactly where Encode of the entry it
// returns gives the same bytes; anything else is ErrMalformed.
func Parse(body []byte) (Entry, error) {
	if len(body) > MaxBody {
		return Entry{}, ErrMalformed
	}
	in := reader{rest: body}
	e := in.entry()
	// The reader is lenient where that makes it short: this comparison is what
	// makes Parse strict.
	if in.failed || !bytes.Equal(e.AppendTo(make([]byte, 0, len(body)+64)), body) {
		return Entry{}, ErrMalformed
	}
	return e, nil
}

// reader takes a body apart from the front. After the first thing that does not
// fit, failed is set and what it returns means nothing.
type reader struct {
	rest   []byte
	failed bool
}

func (in *reader) entry() Entry {
	e := Entry{
		Replica:    in.id(`{"v":1,"replica":"`),
		Number:     in.number(`,"number":`),
		Prev:       in.hash(`,"prev":"`),
		Time:       in.time(`,"time":"`),
		Principal:  in.text(`,"principal":"`),
		CertSerial: in.text(`,"certificate_serial":"`),
		Tenant:     in.text(`,"tenant":"`),
		Action:     in.text(`,"action":"`),
		Decision:   in.decision(`,"decision":"`),
		Policy:     in.text(`,"policy":"`),
		Purpose:    in.text(`,"purpose":"`),
		View:       in.text(`,"view":"`),
		Card:       in.id(`,"card_id":"`),
		Key:        in.id(`,"key_id":"`),
		BINRange:   in.text(`,"bin_range":"`),
		RequestID:  in.id(`,"request_id":"`),
		Result:     in.text(`,"result":"`),
		Count:      int(in.number(`,"count":`)),
		Index:      in.number(`,"index":`),
		Digest:     in.hash(`,"digest":"`),
	}
	if string(in.rest) != "}" {
		in.failed = true
	}
	return e
}

// take reports whether the rest begins with key, and moves past it.
func (in *reader) take(key string) bool {
	if len(in.rest) < len(key) || string(in.rest[:len(key)]) != key {
		return false
	}
	in.rest = in.rest[len(key):]
	return true
}

// quoted returns the string that follows key, still escaped, without its
// quotes; nil where the key is absent.
func (in *reader) quoted(key string) []byte {
	if !in.take(key) {
		return nil
	}
	for i := 0; i < len(in.rest); i++ {
		switch in.rest[i] {
		case '"':
			raw := in.rest[:i]
			in.rest = in.rest[i+1:]
			return raw
		case '\\':
			i++
		}
	}
	in.failed = true
	return nil
}

func (in *reader) text(key string) string {
	raw := in.quoted(key)
	if !bytes.ContainsRune(raw, '\\') {
		return string(raw)
	}
	var text string
	if err := json.Unmarshal(append(append([]byte{'"'}, raw...), '"'), &text); err != nil {
		in.failed = true
	}
	return text
}

func (in *reader) id(key string) uuid.UUID {
	raw := in.quoted(key)
	if raw == nil {
		return uuid.Nil
	}
	id, err := uuid.ParseBytes(raw)
	if err != nil {
		in.failed = true
	}
	return id
}

func (in *reader) hash(key string) (h Hash) {
	raw := in.quoted(key)
	if raw == nil {
		return h
	}
	if n, err := base64.StdEncoding.AppendDecode(h[:0], raw); err != nil || len(n) != len(h) {
		in.failed = true
	}
	return h
}

func (in *reader) time(key string) time.Time {
	t, err := time.Parse(timeLayout, string(in.quoted(key)))
	if err != nil {
		in.failed = true
	}
	return t
}

func (in *reader) decision(key string) Decision {
	if string(in.quoted(key)) == Allow.String() {
		return Allow
	}
	return Deny
}

func (in *reader) number(key string) int64 {
	if !in.take(key) {
		return 0
	}
	end := bytes.IndexAny(in.rest, ",}")
	if end < 0 {
		in.failed = true
		return 0
	}
	n, err := strconv.ParseInt(string(in.rest[:end]), 10, 64)
	if err != nil {
		in.failed = true
	}
	in.rest = in.rest[end:]
	return n
}
