package vault_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/cardvault/cardvault/vault"
)

// edit changes the database by hand, as someone with write access to it can.
func (s *site) edit(t *testing.T, statements string) {
	t.Helper()
	conn, err := sqlite.OpenConn(s.path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}()
	conn.SetBusyTimeout(10 * time.Second)
	if err := sqlitex.ExecuteScript(conn, statements, nil); err != nil {
		t.Fatal(err)
	}
	if conn.Changes() == 0 {
		t.Fatal("the edit changed nothing")
	}
}

// TestEditedRowsAreRefused is P5: whatever is swapped or edited in the database,
// the answer is an alarm and never another PAN.
func TestEditedRowsAreRefused(t *testing.T) {
	swap := func(column string) string {
		return `CREATE TABLE was AS SELECT rowid AS r, * FROM cards;
			UPDATE cards SET ` + column + ` = (SELECT w.` + column + ` FROM was w WHERE w.r <> cards.rowid);`
	}
	edits := map[string]string{
		"ciphertexts swapped": swap("sealed"),
		"a bit of a ciphertext": `UPDATE cards SET sealed =
			CAST(substr(sealed, 1, 20) || x'00' || substr(sealed, 22) AS BLOB)`,
		"ciphertext cut":    `UPDATE cards SET sealed = substr(sealed, 1, 30)`,
		"key id of another": `UPDATE cards SET data_key = (SELECT id FROM keys WHERE purpose = 'fingerprint')`,
		"key id of nothing": `UPDATE cards SET data_key = zeroblob(16)`,
		"wrapped keys swapped": `CREATE TABLE was AS SELECT * FROM keys;
			UPDATE keys SET wrapped = (SELECT wrapped FROM was w WHERE w.purpose = 'range')`,
		"fingerprints swapped": `CREATE TABLE was AS SELECT rowid AS r, fingerprint FROM cards;
			UPDATE cards SET fingerprint = randomblob(16);
			UPDATE cards SET fingerprint = (SELECT w.fingerprint FROM was w WHERE w.r <> cards.rowid)`,
		"card ids edited": `UPDATE cards SET id = CAST(x'00' || substr(id, 2) AS BLOB)`,
		"tag edited":      `UPDATE cards SET token_tag = token_tag + 1`,
		"key destroyed":   `UPDATE keys SET state = 'destroyed' WHERE purpose = 'data'`,
		"key kind edited": `UPDATE keys SET kek_kind = 'transit'`,
		"tenants swapped": `UPDATE tenants SET name = 'x' WHERE name = 'demo';
			UPDATE tenants SET name = 'demo' WHERE name = 'other'; UPDATE tenants SET name = 'other' WHERE name = 'x'`,
	}
	for name, statements := range edits {
		t.Run(name, func(t *testing.T) {
			v, s := newVault(t)
			a := tokenize(t, v, foreignPAN, vault.TokenOptions{}).Token
			b := tokenize(t, v, "5555555555554444", vault.TokenOptions{}).Token
			createOther(t, v)
			s.edit(t, statements)

			fresh := s.replica(t, s.reopen(t)) // without keys in memory
			for _, token := range []string{a, b} {
				number, err := reveal(t, fresh, token)
				if number != "" {
					t.Fatal("an edited row opened")
				}
				if name == "tenants swapped" && errors.Is(err, vault.ErrTokenNotFound) {
					continue
				}
				if !errors.Is(err, vault.ErrIntegrity) {
					t.Errorf("answer %v", err)
				}
			}
			if name != "tenants swapped" && !strings.Contains(s.log.String(), `"msg":"alarm"`) {
				t.Error("no alarm")
			}
		})
	}
}

// TestSwappedTokensAreRefused points each token at the other card.
func TestSwappedTokensAreRefused(t *testing.T) {
	for name, statements := range map[string]string{
		"standing tokens": `CREATE TABLE was AS SELECT rowid AS r, token FROM cards;
			UPDATE cards SET token = NULL;
			UPDATE cards SET token = (SELECT w.token FROM was w WHERE w.r <> cards.rowid)`,
		"with their tags": `CREATE TABLE was AS SELECT rowid AS r, token, token_tag FROM cards;
			UPDATE cards SET token = NULL;
			UPDATE cards SET token = (SELECT w.token FROM was w WHERE w.r <> cards.rowid),
				token_tag = (SELECT w.token_tag FROM was w WHERE w.r <> cards.rowid)`,
		"extra tokens":  `UPDATE tokens SET card = (SELECT id FROM cards c WHERE c.id <> tokens.card)`,
		"limits lifted": `UPDATE tokens SET expires = 0`,
	} {
		t.Run(name, func(t *testing.T) {
			v, s := newVault(t)
			o := vault.TokenOptions{}
			if strings.Contains(statements, "UPDATE tokens") {
				o.TTL = time.Hour
			}
			a := tokenize(t, v, foreignPAN, o).Token
			tokenize(t, v, "5555555555554444", o)
			s.edit(t, statements)
			if number, err := reveal(t, v, a); number != "" || !errors.Is(err, vault.ErrIntegrity) {
				t.Errorf("answer %v", err)
			}
		})
	}
}

func TestRangeWithAnotherKeyIssuesNothing(t *testing.T) {
	for _, statements := range []string{
		`UPDATE bin_ranges SET range_key = zeroblob(16)`,
		`UPDATE keys SET state = 'retiring' WHERE purpose = 'range'`, // so that a new one is made
	} {
		v, s := newVault(t)
		issue(t, v, 1)
		s.edit(t, statements)
		results, err := s.replica(t, s.reopen(t)).IssueCards(t.Context(), caller("issuer"), requests(1))
		if err != nil || !errors.Is(results[0].Err, vault.ErrIntegrity) {
			t.Error(statements, err, results)
		}
	}
}

// TestCounterThatWentBackStopsTheRange is P2 after a counter was reset: the next
// number is one that was issued.
func TestCounterThatWentBackStopsTheRange(t *testing.T) {
	v, s := newVault(t)
	issue(t, v, 5)
	s.edit(t, `UPDATE bin_ranges SET carved = 0; DELETE FROM range_blocks`)
	fresh := s.replica(t, s.reopen(t))
	results, err := fresh.IssueCards(t.Context(), caller("issuer"), requests(1))
	if err != nil || !errors.Is(results[0].Err, vault.ErrBINRangeStopped) {
		t.Fatal(err, results)
	}
	if got := demoRange(t, fresh); got.State != vault.RangeStopped {
		t.Errorf("state %v", got.State)
	}
	if !strings.Contains(s.log.String(), "BIN range stopped") {
		t.Error("no alarm")
	}
	entries := checkChains(t, fresh)
	stopped := false
	for _, e := range entries {
		stopped = stopped || e.Action == "StopBinRange"
	}
	if !stopped {
		t.Error("the stop has no entry")
	}
}
