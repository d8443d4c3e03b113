package ledger_test

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	zsqlite "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// The tables that hold the log, as somebody sees them who has every right on the
// database.

// table is one of them. The key is its first columns.
type table struct {
	name    string
	key     int
	columns []string
}

func tablesOfLog() []table {
	return []table{
		{"audit_entries", 2, []string{"replica", "number", "time", "tenant", "body"}},
		{"audit_chains", 1, []string{"replica", "number", "head", "seal", "kek_kind", "wrapped"}},
		{"log_chains", 1, []string{"replica", "next", "head"}},
		{"log_head", 1, []string{"id", "term", "beat", "size", "first", "holder", "checkpoint"}},
		{"log_runs", 1, []string{"first", "replica", "number", "count"}},
		{"log_tiles", 2, []string{"level", "tile", "hashes"}},
	}
}

func (t table) column(name string) int { return slices.Index(t.columns, name) }

func tableNamed(name string) table {
	all := tablesOfLog()
	return all[slices.IndexFunc(all, func(t table) bool { return t.name == name })]
}

// row is int64, []byte, string or nil in each column. Rows are never changed, but
// replaced.
type row []any

// keyOf tells the rows of a table apart.
func (t table) keyOf(r row) string {
	var key []byte
	for _, v := range r[:t.key] {
		switch v := v.(type) {
		case int64:
			key = strconv.AppendInt(append(key, 'i'), v, 10)
		case []byte:
			key = append(append(key, 'b'), v...)
		default:
			key = fmt.Appendf(key, "?%v", v)
		}
	}
	return string(key)
}

func sameValue(a, b any) bool {
	x, isX := a.([]byte)
	y, isY := b.([]byte)
	if isX || isY {
		return isX && isY && bytes.Equal(x, y)
	}
	return a == b
}

// tables are the rows of each table by its name.
type tables map[string][]row

// clone shares the rows.
func (ts tables) clone() tables {
	other := tables{}
	for name, rows := range ts {
		other[name] = slices.Clone(rows)
	}
	return other
}

// change is what became of a row; old or now is nil where there was or is none.
type change struct {
	table
	old, now row
}

func (c change) String() string {
	var columns []string
	for i, name := range c.columns {
		switch {
		case c.old == nil:
			columns = append(columns, fmt.Sprintf("%s=%s", name, show(c.now[i])))
		case c.now == nil:
			columns = append(columns, fmt.Sprintf("%s=%s", name, show(c.old[i])))
		case !sameValue(c.old[i], c.now[i]):
			columns = append(columns, fmt.Sprintf("%s: %s → %s", name, show(c.old[i]), show(c.now[i])))
		}
	}
	what := "changed"
	if c.old == nil {
		what = "added"
	} else if c.now == nil {
		what = "gone"
	}
	return fmt.Sprintf("%s %s: %s", c.name, what, strings.Join(columns, ", "))
}

func show(v any) string {
	if b, is := v.([]byte); is {
		if len(b) > 80 {
			return fmt.Sprintf("%q… (%d bytes)", b[:80], len(b))
		}
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprint(v)
}

// changes returns how now differs from old. Of several rows with one key only the
// database knows what to say.
func changes(old, now tables) []change {
	var all []change
	for _, t := range tablesOfLog() {
		kept := map[*any]bool{}
		for _, r := range now[t.name] {
			kept[&r[0]] = true
		}
		gone := map[string]row{}
		var order []string
		for _, r := range old[t.name] {
			if !kept[&r[0]] {
				gone[t.keyOf(r)] = r
				order = append(order, t.keyOf(r))
			}
			delete(kept, &r[0])
		}
		for _, r := range now[t.name] {
			if !kept[&r[0]] {
				continue
			}
			was := gone[t.keyOf(r)]
			delete(gone, t.keyOf(r))
			if was == nil || !slices.EqualFunc(was, r, sameValue) {
				all = append(all, change{t, was, r})
			}
		}
		for _, key := range order {
			if r := gone[key]; r != nil {
				all = append(all, change{t, r, nil})
			}
		}
	}
	return all
}

// database is a connection to a site's file that knows no rules but SQLite's.
type database struct {
	t    *testing.T
	conn *zsqlite.Conn
}

func openDatabase(t *testing.T, path string) *database {
	t.Helper()
	conn, err := zsqlite.OpenConn(path, zsqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	conn.SetBusyTimeout(10 * time.Second)
	d := &database{t, conn}
	d.exec("ATTACH ':memory:' AS kept")
	return d
}

func (d *database) exec(sql string, args ...any) {
	d.t.Helper()
	if err := sqlitex.Execute(d.conn, sql, &sqlitex.ExecOptions{Args: args}); err != nil {
		d.t.Fatalf("%s: %v", sql, err)
	}
}

// keep keeps the tables as they are, for restore. Entries are too many: who adds or
// changes one has to undo it.
func (d *database) keep() {
	d.t.Helper()
	for _, t := range tablesOfLog()[1:] {
		d.exec("DROP TABLE IF EXISTS kept." + t.name)
		d.exec("CREATE TABLE kept." + t.name + " AS SELECT * FROM main." + t.name)
	}
}

// restore makes the tables what they were kept as, after undoing changes and removing
// the entries that are behind the ends of chains.
func (d *database) restore(undo []change, writers []*writer) {
	d.t.Helper()
	d.exec("BEGIN IMMEDIATE")
	for _, c := range undo {
		if c.name == "audit_entries" && c.now != nil {
			d.exec("DELETE FROM main.audit_entries WHERE replica = ? AND number = ?", c.now[0], c.now[1])
		}
	}
	for _, c := range undo {
		if c.name == "audit_entries" && c.old != nil {
			d.exec("INSERT OR REPLACE INTO main.audit_entries (replica, number, time, tenant, body) VALUES (?, ?, ?, ?, ?)", c.old...)
		}
	}
	for _, w := range writers {
		d.exec("DELETE FROM main.audit_entries WHERE replica = ? AND number >= ?", w.id[:], len(w.bodies))
	}
	for _, t := range tablesOfLog()[1:] {
		d.exec("DELETE FROM main." + t.name)
		d.exec("INSERT INTO main." + t.name + " SELECT * FROM kept." + t.name)
	}
	d.exec("COMMIT")
}

// empty makes the log one that nothing was ever written to.
func (d *database) empty() {
	d.t.Helper()
	d.exec("BEGIN IMMEDIATE")
	for _, t := range tablesOfLog() {
		d.exec("DELETE FROM main." + t.name)
	}
	d.exec("INSERT INTO main.log_head (id, term, beat, size, first) VALUES (0, 0, 0, 0, 0)")
	d.exec("COMMIT")
}

// dump reads the tables.
func (d *database) dump() tables {
	d.t.Helper()
	all := tables{}
	for _, t := range tablesOfLog() {
		columns := strings.Join(t.columns, ", ")
		order := strings.Join(t.columns[:t.key], ", ")
		err := sqlitex.Execute(d.conn, "SELECT "+columns+" FROM main."+t.name+" ORDER BY "+order, &sqlitex.ExecOptions{
			ResultFunc: func(stmt *zsqlite.Stmt) error {
				r := make(row, len(t.columns))
				for i := range r {
					r[i] = valueOf(stmt, i)
				}
				all[t.name] = append(all[t.name], r)
				return nil
			},
		})
		if err != nil {
			d.t.Fatal(err)
		}
	}
	return all
}

func valueOf(stmt *zsqlite.Stmt, i int) any {
	switch stmt.ColumnType(i) {
	case zsqlite.TypeInteger:
		return stmt.ColumnInt64(i)
	case zsqlite.TypeText:
		return stmt.ColumnText(i)
	case zsqlite.TypeBlob:
		b := make([]byte, stmt.ColumnLen(i))
		stmt.ColumnBytes(i, b)
		return b
	default:
		return nil
	}
}

// apply makes changes. False: the database refuses them, and none is made.
func (d *database) apply(all []change) bool {
	d.t.Helper()
	d.exec("BEGIN IMMEDIATE")
	for _, c := range all {
		if c.old != nil {
			var where []string
			for _, column := range c.columns[:c.key] {
				where = append(where, column+" = ?")
			}
			d.exec("DELETE FROM main."+c.name+" WHERE "+strings.Join(where, " AND "), c.old[:c.key]...)
		}
	}
	for _, c := range all {
		if c.now == nil {
			continue
		}
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(c.columns)), ", ")
		err := sqlitex.Execute(d.conn, "INSERT INTO main."+c.name+" ("+strings.Join(c.columns, ", ")+") VALUES ("+marks+")",
			&sqlitex.ExecOptions{Args: c.now})
		if err != nil {
			if zsqlite.ErrCode(err).ToPrimary() != zsqlite.ResultConstraint {
				d.t.Fatalf("%v: %v", c, err)
			}
			d.exec("ROLLBACK")
			return false
		}
	}
	d.exec("COMMIT")
	return true
}
