// Package vaulttest holds what tests of the vault share: the contract that every
// Store keeps, a clock that they move and a log that they read.
package vaulttest

import (
	"testing"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/ledger"
)

// Store is what a database has to be: the vault's store, and its log's.
type Store interface {
	vault.Store
	ledger.Store
}

// Database opens stores on one database, which is empty at first. Each is another
// replica's; they end with the test.
type Database func(t testing.TB) Store

// StoreContract tests that a store keeps every sentence of vault.Store, vault.Tx
// and ledger.Store. fresh makes a Database of its own for each test.
func StoreContract(t *testing.T, fresh func(t testing.TB) Database) {
	t.Helper()
	for _, aggregate := range []struct {
		name  string
		cases []contractCase
	}{
		{"Commit", commitCases()},
		{"Entries", entryCases()},
		{"Cards", cardCases()},
		{"Life", lifeCases()},
		{"Tokens", tokenCases()},
		{"Requests", requestCases()},
		{"BINRanges", rangeCases()},
		{"Blocks", blockCases()},
		{"Keys", keyCases()},
		{"KeyList", keyListCases()},
		{"Chains", chainCases()},
		{"Lease", leaseCases()},
		{"Log", logCases()},
		{"Drop", dropCases()},
	} {
		t.Run(aggregate.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range aggregate.cases {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.test(&contract{T: t, db: fresh(t)})
				})
			}
		})
	}
}

// contractCase is one sentence of the contract.
type contractCase struct {
	name string
	test func(t *contract)
}

// contract is the test of one sentence, on a database of its own.
type contract struct {
	*testing.T
	db Database
}

// open opens another replica's store.
func (c *contract) open() Store {
	c.Helper()
	return c.db(c.T)
}
