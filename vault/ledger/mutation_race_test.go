//go:build race

package ledger_test

// mutations is how many the tables see.
const mutations = 2_500
