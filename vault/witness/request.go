package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// maxProof is how long a proof may be (C2SP tlog-witness: "The client MUST NOT send
// more than 63 consistency proof lines.").
const maxProof = 63

// maxBody is how long a request may be. The most that C2SP signed-note asks for are
// 16 signatures of "up to nearly 5kB".
const maxBody = 128 << 10

// request is the body of an add-checkpoint call.
type request struct {
	old   int64
	proof tlog.TreeProof
	// checkpoint is the rest of the body, a signed note that nobody has looked at.
	checkpoint []byte
}

var errRequest = errors.New("malformed request")

// parseRequest reads a body. It accepts exactly what encode returns.
//
// C2SP tlog-witness, "add-checkpoint": "The request body MUST be a sequence of
//   - an old size line,
//   - zero or more consistency proof lines,
//   - and an empty line,
//   - followed by a checkpoint.
//
// Each line MUST terminate in a newline character (U+000A)."
func parseRequest(body []byte) (request, error) {
	head, checkpoint, found := bytes.Cut(body, []byte("\n\n"))
	if !found || len(checkpoint) == 0 {
		return request{}, errRequest
	}
	first, rest, _ := strings.Cut(string(head), "\n")
	number, ok := strings.CutPrefix(first, "old ")
	old, err := parseSize(number)
	if !ok || err != nil {
		return request{}, errRequest
	}
	r := request{old: old, checkpoint: checkpoint}
	for line := range strings.Lines(rest) {
		hash, err := parseHash(strings.TrimSuffix(line, "\n"))
		if err != nil || len(r.proof) == maxProof {
			return request{}, errRequest
		}
		r.proof = append(r.proof, hash)
	}
	return r, nil
}

// parseSize reads "an ASCII decimal with no leading zeroes (unless the size is zero,
// in which case the encoding MUST be 0)". Trees have less than 2^62 entries here.
func parseSize(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n >= 1<<62 || strconv.FormatInt(n, 10) != text {
		return 0, errRequest
	}
	return n, nil
}

// parseHash reads a hash in base64, of which there is one encoding.
func parseHash(text string) (tlog.Hash, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != tlog.HashSize || base64.StdEncoding.EncodeToString(raw) != text {
		return tlog.Hash{}, errRequest
	}
	return tlog.Hash(raw), nil
}

// encode returns the body that asks for a cosignature.
func (r request) encode() []byte {
	body := append(strconv.AppendInt([]byte("old "), r.old, 10), '\n')
	for _, hash := range r.proof {
		body = append(base64.StdEncoding.AppendEncode(body, hash[:]), '\n')
	}
	return append(append(body, '\n'), r.checkpoint...)
}
