package witness_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/cardvault/cardvault/vault/witness"
)

func vkeyOf(t *testing.T, name string) string {
	t.Helper()
	key, err := witness.NewKey(name)
	must(t, err)
	return key.VerifierKey()
}

func TestPolicy(t *testing.T) {
	replace := strings.NewReplacer("$x", vkeyOf(t, "witness.example/x"), "$y", vkeyOf(t, "witness.example/y"), "$z", vkeyOf(t, "witness.example/z"))
	x := "witness x $x https://x.example/w\n"
	y := "witness y $y https://y.example\n"
	z := "witness z $z http://127.0.0.1:8080/\n"
	// The same public key, as one of the type 0x01 and with another name.
	vkey := replace.Replace("$x")
	raw, err := base64.StdEncoding.DecodeString(vkey[strings.Index(vkey, "+B")+1:])
	must(t, err)
	raw[0] = 1
	sameKey := "witness y other.example+00000000+" + base64.StdEncoding.EncodeToString(raw) + " https://y.example\n"
	for name, c := range map[string]struct {
		policy string
		ok     bool
	}{
		"one witness":              {x + "quorum x\n", true},
		"two of three":             {x + y + z + "group g 2 x y z\nquorum g\n", true},
		"groups of groups":         {x + y + z + "group g any x y\n\tgroup h all g z # why\n\n# a comment\nquorum h\n", true},
		"logs say nothing":         {"log whatever\n" + x + "quorum x\n", true},
		"http to localhost":        {"witness x $x http://localhost:80\nquorum x\n", true},
		"http to ::1":              {"witness x $x http://[::1]:80\nquorum x\n", true},
		"a witness of no quorum":   {x + y + "quorum x\n", true},
		"empty":                    {"", false},
		"no quorum":                {x, false},
		"quorum none":              {x + "quorum none\n", false},
		"two quorums":              {x + y + "quorum x\nquorum y\n", false},
		"unknown quorum":           {x + "quorum y\n", false},
		"needs none of them":       {x + "group g 0 x\nquorum g\n", false},
		"needs more than there is": {x + "group g 2 x\nquorum g\n", false},
		"a group of nobody":        {x + "group g all\nquorum g\n", false},
		"a witness twice":          {x + "group g 2 x x\nquorum g\n", false},
		"a witness in two groups":  {x + y + "group g any x y\ngroup h 2 g x\nquorum h\n", false},
		"one key by two names":     {x + "witness y $x https://y.example\ngroup g 2 x y\nquorum g\n", false},
		"one key of two types":     {x + sameKey + "group g 2 x y\nquorum g\n", false},
		"one URL for two":          {x + "witness y $y https://x.example/w\ngroup g 2 x y\nquorum g\n", false},
		"http":                     {"witness x $x http://x.example\nquorum x\n", false},
		"http to a name like it":   {"witness x $x http://localhost.example\nquorum x\n", false},
		"another scheme":           {"witness x $x ftp://x.example\nquorum x\n", false},
		"no host":                  {"witness x $x https:///w\nquorum x\n", false},
		"a password":               {"witness x $x https://user:secret@x.example\nquorum x\n", false},
		"a query":                  {"witness x $x https://x.example/?a\nquorum x\n", false},
		"no URL":                   {"witness x $x\nquorum x\n", false},
		"no key":                   {"witness x not-a-key https://x.example\nquorum x\n", false},
		"unknown word":             {x + "qourum x\nquorum x\n", false},
	} {
		_, err := witness.ParsePolicy([]byte(replace.Replace(c.policy)))
		if (err == nil) != c.ok || err != nil && !errors.Is(err, witness.ErrPolicy) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error has the password: %v", name, err)
		}
	}
}

// FuzzPolicy: whatever is accepted, a client can be made of it.
func FuzzPolicy(f *testing.F) {
	key, err := witness.NewKey("witness.example/x")
	must(f, err)
	f.Add("witness x " + key.VerifierKey() + " https://x.example\nquorum x\n")
	f.Add("group g 0\nquorum g\n")
	f.Add("quorum none")
	f.Add(" \t#\nquorum\nwitness\ngroup")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := witness.ParsePolicy([]byte(text))
		if err == nil {
			clientOf(t, newTree(t, origin, 0), text)
		}
		_ = p
	})
}
