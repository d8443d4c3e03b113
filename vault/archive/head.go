package archive

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/vault/audit"
)

// checkHead checks the checkpoint and the keys file. It reports whether the
// checkpoint says of which log the folder is; signed or not, what it says can then be
// compared with the rest.
func (v *verifier) checkHead(o Options) (readable bool, err error) {
	if err := v.checkKeys(o.Keys); err != nil {
		return false, err
	}
	signed, err := readFile(v.folder, checkpointFile, maxNote)
	if errors.Is(err, fs.ErrNotExist) {
		v.report.find(ClassMissing, checkpointFile, "there is no checkpoint")
		return false, nil
	}
	if err != nil && !errors.Is(err, errTooLong) {
		return false, err
	}
	v.signed = signed
	head, readable := v.openHead(signed, o.Keys)
	v.report.Origin, v.report.Size, v.report.Root = head.Origin, head.Size, head.Root
	if o.Witnesses != nil && !o.Witnesses.Satisfied(signed) {
		v.report.find(ClassWitness, checkpointFile, "not enough witnesses cosigned the checkpoint")
	}
	if readable && v.since != nil && v.since.Size > head.Size {
		v.report.find(ClassInconsistent, checkpointFile, "the log is shorter than the %d entries that it had at the earlier checkpoint", v.since.Size)
		v.since = nil
	}
	return readable, nil
}

// openHead reads a checkpoint, signed or not.
func (v *verifier) openHead(signed []byte, keys []note.Verifier) (head audit.Checkpoint, readable bool) {
	head, err := audit.OpenCheckpoint(signed, keys...)
	if err != nil {
		v.report.find(ClassSignature, checkpointFile, "%v", err)
		text, _, _ := bytes.Cut(signed, []byte("\n\n"))
		head, err = audit.ParseCheckpoint(string(text) + "\n")
		return head, err == nil
	}
	if !strictNote(signed) {
		v.report.find(ClassSignature, checkpointFile, "a signature is there twice, or not in the one form that it has")
	}
	return head, true
}

// checkKeys checks that the keys file is one, and of the same log. It is not trusted:
// if it is wrong, somebody has edited it.
func (v *verifier) checkKeys(keys []note.Verifier) error {
	text, err := readFile(v.folder, KeysFile, maxNote)
	if errors.Is(err, fs.ErrNotExist) {
		v.report.find(ClassMissing, KeysFile, "there is no such file")
		return nil
	}
	if err != nil && !errors.Is(err, errTooLong) {
		return err
	}
	stored, err := audit.ParseKeys(string(text))
	known := func(k note.Verifier) bool {
		return slices.ContainsFunc(keys, func(o note.Verifier) bool { return k.Name() == o.Name() && k.KeyHash() == o.KeyHash() })
	}
	switch {
	case err != nil || keyLines(string(text)) != string(text) || !lowerCaseIDs(string(text)):
		v.report.find(ClassSignature, KeysFile, "the file is not a list of verifier keys")
	case !slices.ContainsFunc(stored, known):
		v.report.find(ClassSignature, KeysFile, "the folder says that it is of a log with other keys")
	}
	return nil
}

// lowerCaseIDs reports whether the ids of keys are in lower case. C2SP signed-note,
// "Conventions": hex is "the fixed length lowercase Base 16 encoding".
func lowerCaseIDs(keys string) bool {
	for line := range strings.Lines(keys) {
		_, rest, _ := strings.Cut(line, "+")
		id, _, _ := strings.Cut(rest, "+")
		if id != strings.ToLower(id) {
			return false
		}
	}
	return true
}

// strictNote reports whether each signature of a note that was opened is there once,
// and in the one form that base64 has for it: some bits of its last character mean
// nothing, and a change of them would otherwise not be seen.
func strictNote(signed []byte) bool {
	_, signatures, _ := bytes.Cut(signed, []byte("\n\n"))
	seen := map[string]bool{}
	for line := range strings.Lines(string(signatures)) {
		i := strings.LastIndexByte(line, ' ')
		raw, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(line[i+1:], "\n"))
		if err != nil || len(raw) < 4 {
			return false
		}
		key := line[:i+1] + string(raw[:4])
		if seen[key] {
			return false
		}
		seen[key] = true
	}
	return true
}
