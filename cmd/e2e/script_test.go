package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cardvault/cardvault/tokenizer"
)

// TestScripts tells the stories of testdata. Each has an installation of its own, with an empty database. Beside
// testscript's commands they have:
//
//	cardvault CODE ARGS…   runs the binary, which must end with that exit code
//	as PRINCIPAL           whose certificate the client commands show from here on
//	serve NAME CONFIG ARGS starts a server and waits until it serves; client commands call it
//	terminate NAME         ends it with SIGTERM, after which it must exit with 0
//	log NAME TEXT          waits for a line in the server's log
//	fill FILE…             replaces $NAMES in files of the script by their values
//	config FILE K=V…       writes the site's configuration, with other settings: see settings
//	keep NAME PATH         sets $NAME to a value of the last output's JSON, such as card.id
//	pan NAME               notes that $NAME is a PAN, for the search at the end
//	sql STATEMENTS         runs them as the database's superuser
//	transit-key NAME K=V…  makes a transit key and an AppRole for it, $AUTH_NAME
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			tb, ok := env.T().(testing.TB)
			if !ok {
				return errors.New("testscript hands out no testing.TB")
			}
			return prepare(tb, env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"cardvault": scriptRun, "as": scriptAs, "serve": scriptServe, "terminate": scriptTerminate, "log": scriptLog,
			"fill": scriptFill, "config": scriptConfig, "keep": scriptKeep, "pan": scriptPAN, "sql": scriptSQL, "transit-key": scriptTransitKey,
		},
		RequireUniqueNames: true,
	})
}

// scene is what the commands of one script share.
type scene struct {
	*site
	t       testing.TB
	servers map[string]*replica
}

type sceneKey struct{}

func prepare(t testing.TB, env *testscript.Env) error {
	t.Helper()
	s := newSite(t)
	env.Values[sceneKey{}] = &scene{site: s, t: t, servers: map[string]*replica{}}
	env.Vars = append(env.Vars,
		"PATH="+filepath.Dir(programs.cardvault(t))+":"+env.Getenv("PATH"), "SITE="+s.dir, "CARDVAULT_CA="+s.path("ca.pem"),
		"TRANSIT_ADDRESS="+s.transit.Address, "TRANSIT_CA="+s.transit.CAFile, "AUTH="+s.read(t, "transit-auth"),
		"UNKNOWN_TOKEN="+tokenizer.NewOpaque().String(), "DATABASE="+s.name,
	)
	return nil
}

func sceneOf(ts *testscript.TestScript) *scene { return ts.Value(sceneKey{}).(*scene) } //nolint:forcetypeassert // prepare set it

// positive refuses "!" before commands to which it means nothing, and calls without enough words.
func positive(ts *testscript.TestScript, neg bool, args []string, atLeast int) {
	if neg || len(args) < atLeast {
		ts.Fatalf("usage: see TestScripts")
	}
}

func scriptRun(ts *testscript.TestScript, neg bool, args []string) {
	positive(ts, neg, args, 2)
	err := ts.Exec("cardvault", args[1:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	stdout, stderr := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	what := strings.Join(args[1:], " ")
	sceneOf(ts).ran(output{
		what: what, stdout: func() string { return stdout }, stderr: func() string { return stderr },
		shows: args[1] == "detokenize" && strings.Contains(what, "--view full"),
	})
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

func scriptAs(ts *testscript.TestScript, neg bool, args []string) {
	positive(ts, neg, args, 1)
	s := sceneOf(ts)
	ts.Setenv("CARDVAULT_CERT", s.path(args[0]+".pem"))
	ts.Setenv("CARDVAULT_KEY", s.path(args[0]+".key"))
}

func scriptServe(ts *testscript.TestScript, neg bool, args []string) {
	positive(ts, neg, args, 2)
	s := sceneOf(ts)
	r := s.launch(s.t, ts.MkAbs(args[1]), args[2:]...).serving(s.t)
	s.servers[args[0]] = r
	ts.Setenv("CARDVAULT_ADDR", r.addr)
}

func scriptTerminate(ts *testscript.TestScript, neg bool, args []string) {
	positive(ts, neg, args, 1)
	s := sceneOf(ts)
	s.servers[args[0]].stop(s.t)
}

func scriptLog(ts *testscript.TestScript, neg bool, args []string) {
	positive(ts, neg, args, 2)
	s := sceneOf(ts)
	s.servers[args[0]].awaitLog(s.t, args[1], 1)
}

func scriptFill(ts *testscript.TestScript, neg bool, args []string) {
	positive(ts, neg, args, 1)
	for _, file := range args {
		text := os.Expand(ts.ReadFile(file), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o600))
	}
}

func scriptConfig(ts *testscript.TestScript, neg bool, args []string) {
	positive(ts, neg, args, 1)
	s := sceneOf(ts)
	text, err := os.ReadFile(s.config(s.t, func(_ *site, c *settings) {
		for _, change := range args[1:] {
			name, value, _ := strings.Cut(change, "=")
			if !c.set(name, value) {
				ts.Fatalf("no setting %s", name)
			}
		}
	}))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}

func scriptKeep(ts *testscript.TestScript, neg bool, args []string) {
	positive(ts, neg, args, 2)
	value, err := jsonField(ts.ReadFile("stdout"), args[1])
	ts.Check(err)
	if value == "null" || value == "" {
		ts.Fatalf("no %s in the output", args[1])
	}
	ts.Setenv(args[0], value)
}

func scriptPAN(ts *testscript.TestScript, neg bool, args []string) {
	positive(ts, neg, args, 1)
	if !valid(ts.Getenv(args[0])) {
		ts.Fatalf("$%s is no PAN", args[0])
	}
	sceneOf(ts).saw(ts.Getenv(args[0]))
}

func scriptSQL(ts *testscript.TestScript, neg bool, args []string) {
	positive(ts, neg, args, 1)
	s := sceneOf(ts)
	if s.sql(s.t, strings.Join(args, " ")) == 0 && !strings.HasPrefix(args[0], "ALTER") {
		ts.Fatalf("it changed nothing")
	}
}

func scriptTransitKey(ts *testscript.TestScript, neg bool, args []string) {
	positive(ts, neg, args, 1)
	s := sceneOf(ts)
	options := map[string]any{}
	config := map[string]any{}
	for _, option := range args[1:] {
		name, value, _ := strings.Cut(option, "=")
		if name == "deletion_allowed" {
			config[name] = value // can be set afterwards alone
		} else {
			options[name] = value
		}
	}
	s.transit.CreateKey(s.t, "transit", args[0], options)
	if len(config) > 0 {
		s.transit.CreateKey(s.t, "transit", args[0]+"/config", config)
	}
	ts.Setenv("AUTH_"+args[0], s.appRole(s.t, args[0]))
}
