// Package bench measures cardvault on a real PostgreSQL, each figure beside a
// baseline of the same minute: ratios carry over to other machines, figures do not.
package bench

import (
	"os"
	"testing"

	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
