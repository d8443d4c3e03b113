package witness

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// stateFile is the form of the file: JSON, as encodeState writes it.
type stateFile struct {
	Format      string   `json:"format"`
	Witness     string   `json:"witness"`
	Checkpoints []string `json:"checkpoints"`
	// SHA256 is of the whole file, with this empty. Whoever can edit the file can
	// compute it: against them stands the signature in each checkpoint.
	SHA256 string `json:"sha256"`
}

const stateFormat = "cardvault witness state v1"

func decodeState(content []byte, key *Key, logs []note.Verifier) (map[string]signed, error) {
	var f stateFile
	if err := json.Unmarshal(content, &f); err != nil || f.Format != stateFormat || !f.intact() {
		return nil, ErrState
	}
	if f.Witness != key.VerifierKey() {
		return nil, fmt.Errorf("%w: it is that of the key %s", ErrState, f.Witness)
	}
	own, err := key.Verifier()
	if err != nil {
		return nil, err
	}
	latest := make(map[string]signed, len(f.Checkpoints))
	for _, text := range f.Checkpoints {
		c, err := openStored(text, own, logs)
		if err != nil {
			return nil, fmt.Errorf("%w: checkpoint %d: %w", ErrState, len(latest)+1, err)
		}
		latest[c.Origin] = c
	}
	// What it says is exactly what would be written: nothing is there twice, and
	// nothing is there that was not read.
	if again, err := encodeState(f.Witness, latest); err != nil || !bytes.Equal(again, content) {
		return nil, ErrState
	}
	return latest, nil
}

// openStored verifies a checkpoint that this witness has cosigned.
func openStored(text string, own note.Verifier, logs []note.Verifier) (signed, error) {
	if _, err := openCheckpoint([]byte(text), own); err != nil {
		return signed{}, err
	}
	keys := append(keysOf(logs, originOf([]byte(text))), own)
	if _, err := openCheckpoint([]byte(text), keys...); err != nil {
		return signed{}, err
	}
	// The log's own lines stay as they are, by a key of the past or not.
	body, lines, _ := strings.Cut(text, "\n\n")
	c, err := parseText(body + "\n")
	return signed{Checkpoint: c, text: body + "\n", lines: slices.Collect(strings.Lines(lines))}, err
}

// keysOf returns those keys that a log of this origin signs with.
func keysOf(logs []note.Verifier, origin string) []note.Verifier {
	var keys []note.Verifier
	for _, key := range logs {
		if key.Name() == origin {
			keys = append(keys, key)
		}
	}
	return keys
}

func encodeState(key string, latest map[string]signed) ([]byte, error) {
	f := stateFile{Format: stateFormat, Witness: key, Checkpoints: []string{}}
	for _, origin := range slices.Sorted(maps.Keys(latest)) {
		f.Checkpoints = append(f.Checkpoints, string(latest[origin].note()))
	}
	content, err := f.encode()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	f.SHA256 = hex.EncodeToString(sum[:])
	return f.encode()
}

func (f stateFile) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	err := e.Encode(f)
	return b.Bytes(), err
}

// intact reports whether the file is as it was written.
func (f stateFile) intact() bool {
	claimed := f.SHA256
	f.SHA256 = ""
	content, err := f.encode()
	sum := sha256.Sum256(content)
	return err == nil && claimed == hex.EncodeToString(sum[:])
}
