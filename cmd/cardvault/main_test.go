package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cardvault": main})
}

// TestScript runs the stories of testdata/script with the true binary.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"ADDR", "CA", "CERT", "KEY"} {
				env.Setenv("CARDVAULT_"+name, "")
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"await": await,
			"field": field,
			"cards": writeCards,
			"clear": noneInFolder,
		},
	})
}

// await FILE REGEXP waits until a file has a match.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE REGEXP")
	}
	want := regexp.MustCompile(args[1])
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		if text, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && want.Match(text) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("%s never had %s", args[0], args[1])
}

// field VARIABLE PATH takes a value out of the JSON on the last command's standard
// output: names and indexes, with dots between.
func field(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: field VARIABLE PATH")
	}
	var value any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &value))
	for name := range strings.SplitSeq(args[1], ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			i, err := strconv.Atoi(name)
			ts.Check(err)
			if i >= len(v) {
				ts.Fatalf("%s: no element %d", args[1], i)
			}
			value = v[i]
		}
	}
	if value == nil {
		ts.Fatalf("%s: nothing there", args[1])
	}
	ts.Setenv(args[0], fmt.Sprint(value))
}

// cards FILE N writes CSV of N PANs, all different and of no card network.
func writeCards(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cards FILE N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	var b strings.Builder
	b.WriteString("pan,expiry\n")
	for i := range n {
		b.WriteString(demoNumber(i) + ",2040-12\n")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o600))
}

// demoNumber is the i-th PAN of a range of its own.
func demoNumber(i int) string {
	for check := range 10 {
		if number := fmt.Sprintf("95%013d%d", i, check); looksLikePAN(number) {
			return number
		}
	}
	return ""
}

// clear FOLDER REGEXP fails where a file of the folder has a match.
func noneInFolder(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: clear FOLDER REGEXP")
	}
	unwanted := regexp.MustCompile(args[1])
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*"))
	ts.Check(err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		ts.Check(err)
		if unwanted.Match(text) {
			ts.Fatalf("%s has a match", filepath.Base(file))
		}
	}
}
