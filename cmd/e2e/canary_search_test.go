package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

// searchAll looks for every PAN of the run in everything that the run left behind.
func (c *canary) searchAll(t *testing.T) {
	t.Helper()
	s := newScanner(c.known()...)
	c.search(t)
	for _, text := range c.metrics {
		s.clean(t, "metrics", []byte(text))
	}
	s.clean(t, "pg_dump", c.dump(t))
	c.sql(t, "CHECKPOINT")
	c.checkLogged(t)
	for _, folder := range c.folders() {
		files := 0
		eachFile(t, folder, func(path string, data []byte) {
			files++
			s.clean(t, path, data)
			if strings.HasPrefix(filepath.Base(path), "core") {
				t.Errorf("%s: a core file", path)
			}
		})
		if files == 0 {
			t.Errorf("%s is empty: is it the right folder?", folder)
		}
	}
}

// checkLogged makes sure that the logs which matter most were written at all.
func (c *canary) checkLogged(t *testing.T) {
	t.Helper()
	for file, part := range map[string]string{
		filepath.Join(c.cluster.Dir(), "log"): "parameters: $1 = '",
		c.transit.AuditLog:                    "transit/decrypt/cardvault",
	} {
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), part) {
			t.Errorf("%s has no %q: %v", file, part, err)
		}
	}
}

// folders are where processes of the run write: PostgreSQL's tables, WAL and log; transit's storage and audit log; the
// server's working folder; what commands keep.
func (c *canary) folders() []string {
	return []string{c.cluster.Dir(), filepath.Dir(c.transit.AuditLog), c.dir, c.scratch}
}

func (c *canary) dump(t *testing.T) []byte {
	t.Helper()
	dump, err := pgtest.Command(t, "pg_dump", "--dbname="+c.admin, "--column-inserts").Output()
	if err != nil {
		t.Fatal(err)
	}
	return dump
}

func eachFile(t *testing.T, folder string, look func(path string, data []byte)) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil {
			look(path, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// plant puts a PAN into PostgreSQL in the ways in which a careless vault would, and finds it in table files, WAL, log
// and dump: the search looked in the right places, at the right bytes.
func (c *canary) plant(t *testing.T) {
	t.Helper()
	planted := luhn(t, "490123412341234")
	s := newScanner(planted)
	if len(s.find(c.dump(t))) != 0 {
		t.Fatal("planted before it was planted")
	}
	c.sql(t, `CREATE TABLE careless (as_text text, as_number int8, as_numeric numeric, as_base64 text, as_bytes bytea);
		INSERT INTO careless VALUES ('`+planted+`', `+planted+`, `+planted+`,
			encode('pan=`+planted+`', 'base64'), int8send(`+planted+`)); CHECKPOINT`)
	found := map[string]map[string]bool{"base": {}, "pg_wal": {}, "log": {}, "dump": {}}
	eachFile(t, c.cluster.Dir(), func(path string, data []byte) {
		for area := range found {
			if strings.Contains(strings.TrimPrefix(path, c.cluster.Dir()), "/"+area) {
				for _, h := range s.find(data) {
					found[area][h.name] = true
				}
			}
		}
	})
	for _, h := range s.find(c.dump(t)) {
		found["dump"][h.name] = true
	}
	onDisk := []string{"digits", "uint64 LE", "uint64 BE", "numeric", "base64 of digits, shifted by 1"}
	for area, names := range map[string][]string{
		"base": onDisk, "pg_wal": onDisk, "log": {"digits"}, "dump": {"digits", "hex number", "base64 of digits, shifted by 1"},
	} {
		for _, name := range names {
			if !found[area][name] {
				t.Errorf("a PAN planted in %s as %s is not found", area, name)
			}
		}
	}
}
