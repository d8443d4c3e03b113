package sqlite

import (
	"path/filepath"
	"testing"
)

// A kill cannot show whether a commit waits for the disk, so the settings that make
// it wait are looked at.
func TestWriterSettings(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	w := <-s.writing
	for pragma, want := range map[string]string{
		"journal_mode":  "wal",
		"synchronous":   "2", // FULL
		"foreign_keys":  "1",
		"secure_delete": "1",
	} {
		text := func(r *row) (string, error) { return r.text(), nil }
		if got, err := only(collect(w.conn, text, "PRAGMA "+pragma)); err != nil || got != want {
			t.Errorf("%s = %s, error %v, want %s", pragma, got, err, want)
		}
	}
	s.writing <- w
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
