package postgres

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

// PostgreSQL keeps the plans of prepared statements. One that was made while the
// tables were small serves until they are analyzed, which may be millions of rows
// later. So every plan has to find rows by their whole key, however few they are.
func TestPlansFindRowsByKey(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	if _, _, err := Migrate(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, state := range []struct{ name, reach string }{
		{"empty", `SET plan_cache_mode = force_generic_plan`},
		{"a few rows", fewRows},
		// Alone selectCards may scan then: a page is a large part of so small a table.
		{"a few rows, analyzed", `ANALYZE`},
	} {
		if _, err := conn.Exec(t.Context(), state.reach); err != nil {
			t.Fatal(err)
		}
		t.Run(state.name, func(t *testing.T) { checkPlans(t, conn, state.reach == `ANALYZE`) })
	}
}

const fewRows = `
ALTER TABLE cards SET (autovacuum_enabled = off);
ALTER TABLE tokens SET (autovacuum_enabled = off);
ALTER TABLE requests SET (autovacuum_enabled = off);
ALTER TABLE audit_entries SET (autovacuum_enabled = off);
ALTER TABLE audit_chains SET (autovacuum_enabled = off);
ALTER TABLE log_chains SET (autovacuum_enabled = off);
ALTER TABLE log_runs SET (autovacuum_enabled = off);
ALTER TABLE log_tiles SET (autovacuum_enabled = off);
INSERT INTO cards SELECT n, n, 1, 0, 1, 1, 1, 1, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), '\x00'
    FROM generate_series(1, 2000) AS n;
INSERT INTO tokens SELECT n, n, 0, 0, 1, false, false, gen_random_uuid(), gen_random_uuid(), '' FROM generate_series(1, 2000) AS n;
INSERT INTO requests SELECT n, 1, false, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid()
    FROM generate_series(1, 2000) AS n;
INSERT INTO audit_entries SELECT n, n, 1, gen_random_uuid(), '\x00' FROM generate_series(1, 2000) AS n;
INSERT INTO audit_chains SELECT number, replica FROM audit_entries;
INSERT INTO log_chains SELECT number, replica, '\x00' FROM audit_entries;
INSERT INTO log_runs SELECT number, number, 1, replica FROM audit_entries;
INSERT INTO log_tiles SELECT n, 0, '\x00' FROM generate_series(1, 2000) AS n`

func checkPlans(t *testing.T, conn *pgx.Conn, analyzed bool) {
	t.Helper()
	for name, sql := range map[string]string{
		"selectCard": selectCard, "selectCards": selectCards, "insertCards": insertCards,
		"selectByFingerprint": selectByFingerprint, "reviveCard": reviveCard, "setStanding": setStanding,
		"updateCard": updateCard, "deleteCard": deleteCard, "deleteTokensOfCard": deleteTokensOfCard,
		"selectByToken": selectByToken, "selectTokens": selectTokens, "selectPlainTokens": selectPlainTokens,
		"insertExtra": insertExtra, "selectTaken": selectTaken, "useOnce": useOnce, "deleteToken": deleteToken,
		"selectRequests": selectRequests, "claimRequests": claimRequests, "amendRequests": amendRequests,
		"releaseRequest": releaseRequest, "selectEntries": selectEntries, "insertEntries": insertEntries,
	} {
		for _, node := range explain(t, conn, name, sql) {
			if !node.finds(2) && !(analyzed && name == "selectCards") {
				t.Errorf("%s: %s on %s by %q, want an index scan by two columns", name, node.Type, node.Relation, node.Cond)
			}
		}
	}
	for _, c := range []struct {
		name, sql, relation string
		columns             int
	}{
		{"selectHead", selectHead, "audit_entries", 1},
		{"selectEntry", selectEntry, "audit_entries", 2},
		{"selectChain", selectChain, "audit_entries", 2},
		{"deleteEntries", deleteEntries, "audit_entries", 3},
		{"insertSealed", insertSealed, "audit_chains", 1},
		{"growChain", growChain, "log_chains", 1},
		{"selectRuns", selectRuns, "log_runs", 1},
		{"selectRun", selectRun, "log_runs", 2},
		{"selectLogged", selectLogged, "audit_entries", 2},
		{"selectTiles", selectTiles, "log_tiles", 2},
		{"upsertTiles", upsertTiles, "log_tiles", 2},
	} {
		for _, node := range explain(t, conn, c.name, c.sql) {
			if node.Relation == c.relation && !node.finds(c.columns) {
				t.Errorf("%s: %s on %s by %q, want an index scan by %d columns", c.name, node.Type, node.Relation, node.Cond, c.columns)
			}
		}
	}
}

// planNode is a node of a plan that reads a table.
type planNode struct {
	Type     string     `json:"Node Type"`
	Relation string     `json:"Relation Name"`
	Cond     string     `json:"Index Cond"`
	Plans    []planNode `json:"Plans"`
}

// finds reports whether the node finds its rows in an index, by n columns.
func (p planNode) finds(n int) bool {
	return strings.HasPrefix(p.Type, "Index") && strings.Count(p.Cond, " AND ") >= n-1 && p.Cond != ""
}

func explain(t *testing.T, conn *pgx.Conn, name, sql string) []planNode {
	t.Helper()
	statement, err := conn.Prepare(t.Context(), name, sql)
	if err != nil {
		t.Fatal(err)
	}
	nulls := strings.TrimSuffix(strings.Repeat("NULL,", len(statement.ParamOIDs)), ",")
	var text []byte
	err = conn.QueryRow(t.Context(), fmt.Sprintf(`EXPLAIN (FORMAT JSON) EXECUTE "%s"(%s)`, name, nulls)).Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	var plans []struct{ Plan planNode }
	if err := json.Unmarshal(text, &plans); err != nil {
		t.Fatal(err)
	}
	return plans[0].Plan.reads()
}

// reads returns the nodes that read tables, out of the whole plan.
func (p planNode) reads() []planNode {
	var nodes []planNode
	if p.Relation != "" && p.Type != "ModifyTable" && p.Type != "LockRows" {
		nodes = append(nodes, p)
	}
	for _, child := range p.Plans {
		nodes = append(nodes, child.reads()...)
	}
	return nodes
}
