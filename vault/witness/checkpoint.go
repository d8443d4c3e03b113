package witness

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/vault/audit"
)

var (
	errCheckpoint = errors.New("malformed checkpoint")
	errUnsigned   = errors.New("no signature by a key of the log, or one that does not verify")
)

// signed is a checkpoint with those of its signatures that were verified.
type signed struct {
	audit.Checkpoint
	// text is what is signed: the checkpoint's three lines and, where the log adds
	// them, extension lines.
	text string
	// lines are the signature lines, each with its newline.
	lines []string
}

// note returns the checkpoint as a signed note, with further signature lines.
func (s signed) note(more ...string) []byte {
	return []byte(s.text + "\n" + strings.Join(slices.Concat(s.lines, more), ""))
}

// parseText reads the text of a checkpoint, which may have extension lines. The
// empty line that ends it in a note is not part of it.
func parseText(text string) (audit.Checkpoint, error) {
	end := 0
	for range 3 {
		n := strings.IndexByte(text[end:], '\n')
		if n < 0 {
			return audit.Checkpoint{}, errCheckpoint
		}
		end += n + 1
	}
	c, err := audit.ParseCheckpoint(text[:end])
	// C2SP tlog-checkpoint, "Note text": "Extension lines, if any, MUST be non-empty."
	if err != nil || strings.HasPrefix(text[end:], "\n") || strings.Contains(text[end:], "\n\n") {
		return audit.Checkpoint{}, errCheckpoint
	}
	return c, nil
}

// originOf returns the origin of a note that may not be one.
func originOf(msg []byte) string {
	origin, _, _ := bytes.Cut(msg, []byte("\n"))
	return string(origin)
}

// openCheckpoint verifies a note. Known are the keys whose signatures are looked at;
// at least one of them must have signed, and none wrongly.
func openCheckpoint(msg []byte, known ...note.Verifier) (signed, error) {
	n, err := note.Open(msg, note.VerifierList(known...))
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified), errors.As(err, &invalid):
		return signed{}, errUnsigned
	case err != nil:
		return signed{}, errCheckpoint
	}
	if !everyGood(msg[len(n.Text)+1:], n.Text, known) {
		return signed{}, errUnsigned
	}
	s := signed{text: n.Text}
	for _, sig := range n.Sigs {
		s.lines = append(s.lines, "— "+sig.Name+" "+sig.Base64+"\n")
	}
	s.Checkpoint, err = parseText(n.Text)
	return s, err
}

// everyGood looks at the signatures that note.Open passes over: those by a key that
// has signed already. C2SP tlog-witness: "a signature line's key name and ID match a
// trusted key but the signature itself fails to verify". The lines are well-formed.
func everyGood(lines []byte, text string, known []note.Verifier) bool {
	for line := range strings.Lines(string(lines)) {
		name, encoded, _ := strings.Cut(strings.TrimPrefix(line, "— "), " ")
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(encoded, "\n"))
		if err != nil || len(raw) < 4 {
			return false
		}
		for _, key := range known {
			mine := key.Name() == name && key.KeyHash() == binary.BigEndian.Uint32(raw)
			if mine && !key.Verify([]byte(text), raw[4:]) {
				return false
			}
		}
	}
	return true
}
