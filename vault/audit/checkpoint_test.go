package audit_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/vault/audit"
)

// The example of C2SP tlog-checkpoint.
const (
	specText = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
	specNote = specText + "\n" +
		"— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)

// specCheckpoint is what it says.
func specCheckpoint(tb testing.TB) audit.Checkpoint {
	tb.Helper()
	root, err := base64.StdEncoding.DecodeString("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
	if err != nil {
		tb.Fatal(err)
	}
	return audit.Checkpoint{Origin: "example.com/behind-the-sofa", Size: 20852163, Root: audit.Hash(root)}
}

func TestCheckpointOfTheSpecification(t *testing.T) {
	want := specCheckpoint(t)
	if got := want.Text(); got != specText {
		t.Errorf("text %q", got)
	}
	if got, err := audit.ParseCheckpoint(specText); err != nil || got != want {
		t.Errorf("got %v, %v", got, err)
	}
	// Nobody has its key but the specification's authors: it is not good with another.
	other, _ := logKeys(t, "example.com/behind-the-sofa")
	if _, err := audit.OpenCheckpoint([]byte(specNote), other.verifier); !errors.Is(err, audit.ErrUnsigned) {
		t.Errorf("with another key: %v", err)
	}
}

func malformedCheckpoints() []string {
	edit := func(from, to string) string { return strings.Replace(specText, from, to, 1) }
	return []string{
		"", "\n", "\n\n\n", specText[:len(specText)-1], specText + "\n", specText + "extension\n",
		edit("example.com/behind-the-sofa", ""), edit("20852163", ""), edit("20852163", "020852163"), edit("20852163", "+20852163"),
		edit("20852163", "-1"), edit("20852163", "20852163 "), edit("20852163", "4611686018427387904"), edit("20852163", "18446744073709551616"),
		edit("20852163", "1e3"), edit("20852163", "0x10"), edit("2I=", "2J="), edit("2I=", "2I"), edit("2I=", "2I=="), edit("2I=", ""),
		edit("Cs", "C\rs"), edit("q2I=\n", "q2I=\r\n"), edit("/X", "_X"), edit("CsUY", ""), edit("CsUY", "CsUYCsUY"),
	}
}

func TestParseCheckpointRefuses(t *testing.T) {
	for _, text := range malformedCheckpoints() {
		if got, err := audit.ParseCheckpoint(text); !errors.Is(err, audit.ErrCheckpoint) || got != (audit.Checkpoint{}) {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
}

func TestCheckpointReadsWhatItWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := audit.Checkpoint{
			Origin: rapid.StringMatching(`[a-z0-9./ é+-]{1,40}`).Draw(t, "origin"),
			Size:   rapid.Int64Range(0, 1<<62-1).Draw(t, "size"),
			Root:   audit.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "root")),
		}
		if got, err := audit.ParseCheckpoint(want.Text()); err != nil || got != want {
			t.Fatalf("got %v, %v; want %v", got, err, want)
		}
	})
}

// logKey is a key pair of a log.
type logKey struct {
	signer   note.Signer
	verifier note.Verifier
	vkey     string
}

func newLogKey(tb testing.TB, name string) logKey {
	tb.Helper()
	skey, vkey, err := note.GenerateKey(nil, name)
	if err != nil {
		tb.Fatal(err)
	}
	k := logKey{vkey: vkey}
	if k.signer, err = note.NewSigner(skey); err != nil {
		tb.Fatal(err)
	}
	if k.verifier, err = note.NewVerifier(vkey); err != nil {
		tb.Fatal(err)
	}
	return k
}

func logKeys(tb testing.TB, name string) (one, two logKey) {
	tb.Helper()
	return newLogKey(tb, name), newLogKey(tb, name)
}

func signed(tb testing.TB, text string, signers ...note.Signer) []byte {
	tb.Helper()
	n, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func TestOpenCheckpoint(t *testing.T) {
	const origin = "example.com/behind-the-sofa"
	old, current := logKeys(t, origin)
	stranger, witness := newLogKey(t, origin), newLogKey(t, "witness.example.com/w1")
	other := newLogKey(t, "other.example.com/log")
	bad := func(b []byte) []byte {
		b[len(b)-10] ^= 1
		return b
	}
	for name, tc := range map[string]struct {
		signed []byte
		keys   []note.Verifier
		want   error
	}{
		"one key":                          {signed(t, specText, old.signer), []note.Verifier{old.verifier}, nil},
		"both, one known":                  {signed(t, specText, old.signer, current.signer), []note.Verifier{current.verifier}, nil},
		"one, both known":                  {signed(t, specText, current.signer), []note.Verifier{old.verifier, current.verifier}, nil},
		"with a witness":                   {signed(t, specText, old.signer, witness.signer), []note.Verifier{old.verifier}, nil},
		"with a stranger of its name":      {signed(t, specText, old.signer, stranger.signer), []note.Verifier{old.verifier}, nil},
		"no key":                           {signed(t, specText, old.signer), nil, audit.ErrUnsigned},
		"a stranger of its name":           {signed(t, specText, stranger.signer), []note.Verifier{old.verifier}, audit.ErrUnsigned},
		"a witness alone":                  {signed(t, specText, witness.signer), []note.Verifier{old.verifier}, audit.ErrUnsigned},
		"a bad signature":                  {bad(signed(t, specText, old.signer)), []note.Verifier{old.verifier}, audit.ErrUnsigned},
		"a good and a bad one":             {bad(signed(t, specText, old.signer, current.signer)), []note.Verifier{old.verifier, current.verifier}, audit.ErrUnsigned},
		"signed with another log's key":    {signed(t, specText, other.signer), []note.Verifier{other.verifier}, audit.ErrOrigin},
		"extended":                         {signed(t, specText+"more\n", old.signer), []note.Verifier{old.verifier}, audit.ErrCheckpoint},
		"something else that the log said": {signed(t, "hello\n", old.signer), []note.Verifier{old.verifier}, audit.ErrCheckpoint},
		"text alone":                       {[]byte(specText), []note.Verifier{old.verifier}, audit.ErrCheckpoint},
		"nothing":                          {nil, []note.Verifier{old.verifier}, audit.ErrCheckpoint},
		"a signature line of nothing":      {[]byte(specText + "\n— \n"), []note.Verifier{old.verifier}, audit.ErrCheckpoint},
	} {
		got, err := audit.OpenCheckpoint(tc.signed, tc.keys...)
		if want := specCheckpoint(t); !errors.Is(err, tc.want) || tc.want == nil && (err != nil || got != want) || tc.want != nil && got != (audit.Checkpoint{}) {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, tc.want)
		}
	}
}

// The example of C2SP signed-note, "Verifier keys".
func TestParseKeysOfTheSpecification(t *testing.T) {
	const (
		vkey    = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
		message = "This is an example message.\n"
		text    = message + "\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
	)
	keys, err := audit.ParseKeys(vkey)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open([]byte(text), note.VerifierList(keys...))
	if err != nil || n.Text != message {
		t.Errorf("opened as %v, %v", n, err)
	}
	// The log did sign it, but it is no checkpoint.
	if _, err := audit.OpenCheckpoint([]byte(text), keys...); !errors.Is(err, audit.ErrCheckpoint) {
		t.Errorf("got %v", err)
	}
}

func TestParseKeys(t *testing.T) {
	one, two := logKeys(t, "example.com/log")
	other := newLogKey(t, "other.example.com/log")
	for text, want := range map[string][]note.Verifier{
		one.vkey: {one.verifier},
		"# the log's keys\n\n  " + one.vkey + "\t\r\n#" + other.vkey + "\n" + two.vkey + "\n": {one.verifier, two.verifier},
		"":                                     nil,
		"# none\n \n":                          nil,
		one.vkey + "\n" + other.vkey:           nil,
		one.vkey + " " + two.vkey:              nil,
		one.vkey + "\nexample.com/log\n":       nil,
		one.vkey[:len(one.vkey)-1]:             nil,
		"x" + one.vkey:                         nil,
		strings.ToUpper(one.vkey):              nil,
		"PRIVATE+KEY+" + one.vkey:              nil,
		strings.Replace(one.vkey, "+", " ", 1): nil,
	} {
		got, err := audit.ParseKeys(text)
		same := func(a, b note.Verifier) bool { return a.Name() == b.Name() && a.KeyHash() == b.KeyHash() }
		if (err == nil) != (want != nil) || !slices.EqualFunc(got, want, same) {
			t.Errorf("%q: %d keys, %v; want %d", text, len(got), err, len(want))
		}
	}
}

// FuzzOpenCheckpoint knows that nothing is good which the log did not sign.
func FuzzOpenCheckpoint(f *testing.F) {
	key := newLogKey(f, "example.com/behind-the-sofa")
	good := string(signed(f, specText, key.signer))
	f.Add([]byte(good))
	f.Add([]byte(specNote))
	for _, text := range malformedCheckpoints() {
		f.Add([]byte(text))
		f.Add([]byte(text + strings.TrimPrefix(good, specText)))
	}
	want := specCheckpoint(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := audit.OpenCheckpoint(data, key.verifier)
		switch {
		case err == nil:
			if c != want {
				t.Fatalf("%q is a checkpoint of %v", data, c)
			}
		case c != (audit.Checkpoint{}):
			t.Fatalf("refused, and %v", c)
		case !errors.Is(err, audit.ErrCheckpoint) && !errors.Is(err, audit.ErrUnsigned) && !errors.Is(err, audit.ErrOrigin):
			t.Fatal(err)
		}
		parsed, err := audit.ParseCheckpoint(string(data))
		if err == nil && parsed.Text() != string(data) {
			t.Fatalf("%q reads as %v", data, parsed)
		}
	})
}
