package witness

import (
	"bytes"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// FuzzRequest: what is accepted has one encoding, and what it carries is bounded.
func FuzzRequest(f *testing.F) {
	hash := "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
	for _, seed := range []string{
		"old 0\n\nx", "old 5\n" + hash + hash + "\nexample.com/log\n9\n" + hash + "\n— example.com/log AAAAAAAA\n",
		"", "old\n\n", "old 05\n\nx", "old 5\n\n", "old 5\n" + hash, "old 5\r\n\nx", "old 5\nAAAA\n\nx", "old 5\n\n\n\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseRequest(body)
		if err != nil {
			return
		}
		if r.old < 0 || len(r.proof) > maxProof || len(r.checkpoint) == 0 {
			t.Errorf("accepted %+v", r)
		}
		if again := r.encode(); !bytes.Equal(again, body) {
			t.Errorf("%q is accepted as %q", body, again)
		}
	})
}

// FuzzCheckpoint: nothing a stranger sends gets past the signature, whatever else the
// note has.
func FuzzCheckpoint(f *testing.F) {
	g := newGrower(f)
	g.grow(f, 9, "")
	text := "log.example/1\n9\n" + g.root(f, 9).String() + "\n"
	good, err := note.Sign(&note.Note{Text: text}, g.signer)
	check(f, err)
	f.Add(good)
	f.Add([]byte(text))
	f.Add([]byte(text + "\n— log.example/1 AAAAAAAA\n"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		c, err := openCheckpoint(msg, g.key)
		if err == nil && c.text != text {
			t.Errorf("%q is accepted as %+v", msg, c)
		}
		if err == nil && c.Root != g.root(t, 9) {
			t.Errorf("%q has the root %v", msg, c.Root)
		}
	})
}

// FuzzState: whatever the file holds, it is refused or is what would be written.
func FuzzState(f *testing.F) {
	g := newGrower(f)
	g.grow(f, 9, "")
	b := newBrittle(f, g.key)
	f.Add(b.disk.now["dir/state"])
	_, err := b.add(f.Context(), g.request(f, 0, 9).encode())
	check(f, err)
	f.Add(b.disk.now["dir/state"])
	f.Fuzz(func(t *testing.T, content []byte) {
		latest, err := decodeState(content, b.key, []note.Verifier{g.key})
		if err != nil {
			return
		}
		again, err := encodeState(b.key.VerifierKey(), latest)
		if err != nil || !bytes.Equal(again, content) {
			t.Errorf("%q is accepted as %q", content, again)
		}
	})
}
