// Package e2e tests the true binary, as an issuer runs it: processes of their own, mutual TLS, a real PostgreSQL
// with the roles of deploy/postgres, a real transit server with the policy of deploy/transit, and a configuration
// file. Nothing here reaches into the product: what a test knows, it knows from the wire, the command line, the log,
// the metrics or the database.
//
// A story is told by a [site]: an authority for certificates, a database, a transit server, and as many replicas as
// it takes. Stories that read well as a script are in testdata; those that kill, pause and count are in Go. When a
// story ends, what its processes wrote is searched for every PAN that it saw.
//
// The binary is built once for each test process: under the race detector where the tests run under it, so that it
// shares its compiled packages with all other tests, and a race in a server fails the story that it serves.
package e2e

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

// storiesAtOnce is how many stories run together. They wait more than they work: for keys to age, for a server to
// come back.
const storiesAtOnce = "6"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", storiesAtOnce); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	defer programs.remove()
	return pgtest.Main(m)
}
