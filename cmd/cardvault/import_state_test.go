package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestImportStateRefusesAnotherInput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	input := importHead{Size: 10, Modified: time.Unix(1, 0).UTC()}
	s, err := openImportState(path, input)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Acknowledge(importDone{Through: 5, Accepted: 4}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string]importHead{
		"size":   {Size: 11, Modified: input.Modified},
		"time":   {Size: 10, Modified: time.Unix(2, 0).UTC()},
		"stream": {},
		"tokens": {Size: 10, Modified: input.Modified, Tokens: true},
	} {
		if _, err := openImportState(path, other); err == nil {
			t.Errorf("%s: went on with another input", name)
		}
	}
	s, err = openImportState(path, input)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if s.Through != 5 || s.Accepted != 4 {
		t.Errorf("got %+v", s.importDone)
	}
}

func TestImportStateIsHeldByOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s, err := openImportState(path, importHead{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := openImportState(path, importHead{}); err == nil || !strings.Contains(asExit(err).line(), "wait for the other import") {
		t.Errorf("two at once: %v", err)
	}
}

// A file of another kind is neither taken for a state nor cut.
func TestImportStateRefusesAnotherFile(t *testing.T) {
	for _, text := range []string{"pan,expiry\n" + testPAN + ",2030-12\n", "{\"pan\":\"" + testPAN + "\"}\n", "{}{}\n{\"x\":1}\n"} {
		path := filepath.Join(t.TempDir(), "state")
		writeFile(t, path, []byte(text))
		_, err := openImportState(path, importHead{})
		if err == nil {
			t.Fatalf("%q was taken for a state", text)
		}
		if strings.Contains(asExit(err).line(), testPAN) {
			t.Errorf("the PAN is repeated: %v", err)
		}
		if string(readFile(t, path)) != text {
			t.Errorf("%q was changed", text)
		}
	}
}

func TestImportStateInMemory(t *testing.T) {
	s, err := openImportState("", importHead{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Acknowledge(importDone{Through: 5, Accepted: 4}); err != nil {
		t.Fatal(err)
	}
	if s.Accepted != 4 || s.Finish() != nil || s.Close() != nil {
		t.Errorf("got %+v", s.importDone)
	}
}

// Request ids differ from line to line and from run to run, and are the same in
// every try.
func TestImportRequestIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 3 {
		s, err := openImportState("", importHead{})
		if err != nil {
			t.Fatal(err)
		}
		for line := range int64(1000) {
			id := s.requestID(line)
			parsed, err := uuid.Parse(id)
			if err != nil || parsed.Version() != 8 || parsed.Variant() != uuid.RFC4122 || parsed.String() != id {
				t.Fatalf("line %d: %v, version %d", line, err, parsed.Version())
			}
			if seen[id] || s.requestID(line) != id {
				t.Fatalf("line %d: id not its own", line)
			}
			seen[id] = true
		}
	}
}

func TestTokenFileRefusesAnotherFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	for text, end := range map[string]int64{
		"something else\n":                 0,
		tokenFileHeader + "2,card,tok_1\n": 0,
		tokenFileHeader:                    100,
	} {
		writeFile(t, path, []byte(text))
		if _, err := openTokenFile(path, &importState{importDone: importDone{TokensEnd: end}}); err == nil {
			t.Errorf("%q at %d was taken", text, end)
		}
		if string(readFile(t, path)) != text {
			t.Errorf("%q was changed", text)
		}
	}
}
