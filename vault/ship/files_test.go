package ship_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardvault/cardvault/vault/ship"
)

func newFiles(t testing.TB, folder string, most int64) *ship.Files {
	t.Helper()
	s, err := ship.NewFiles(ship.FilesConfig{Folder: folder, Format: "jsonl", MaxBytes: most})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// readFolder returns the lines of all files in the order of their names, and the names.
func readFolder(t testing.TB, folder string) (lines, names []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, filepath.Base(path))
		lines = slices.AppendSeq(lines, strings.Lines(string(text)))
	}
	return lines, names
}

func wantLines(list []ship.Event) []string {
	var lines []string
	for i := range list {
		lines = append(lines, string(ship.AppendJSON(nil, &list[i]))+"\n")
	}
	return lines
}

func deliver(t testing.TB, s ship.Sink, list []ship.Event) {
	t.Helper()
	if err := s.Deliver(t.Context(), list); err != nil {
		t.Fatal(err)
	}
}

func TestFilesRotateBySizeAndDay(t *testing.T) {
	folder := t.TempDir()
	s := newFiles(t, folder, 100_000)
	list := events("s", 0, 1000) // midnight comes after 600
	for chunk := range slices.Chunk(list, 77) {
		deliver(t, s, chunk)
	}
	lines, names := readFolder(t, folder)
	if !slices.Equal(lines, wantLines(list)) {
		t.Fatal("the files do not hold the entries")
	}
	if len(names) < 6 || !slices.Contains(names, "audit-0000000000000600-20260201.jsonl") {
		t.Errorf("files are %q", names)
	}
	for _, name := range names {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil || info.Size() > 100_000 || info.Mode().Perm()&0o027 != 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		var first int
		if _, err := fmt.Sscanf(name, "audit-%d-", &first); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || !strings.HasPrefix(string(text), fmt.Sprintf(`{"index":%d,`, first)) {
			t.Errorf("%s begins with another entry (%v)", name, err)
		}
		for line := range strings.Lines(string(text)) {
			if day := regexp.MustCompile(`"time":"(\d+)-(\d+)-(\d+)`).FindStringSubmatch(line); !strings.Contains(name, strings.Join(day[1:], "")) {
				t.Fatalf("%s has an entry of %v", name, day[1:])
			}
		}
	}
}

// Times of different replicas overlap at midnight; a file of the day before is not begun again.
func TestFilesDayDoesNotGoBack(t *testing.T) {
	folder := t.TempDir()
	list := events("s", 0, 4)
	for i, at := range []string{"2026-01-31T23:59:59Z", "2026-02-01T00:00:01Z", "2026-01-31T23:59:58Z", "2026-02-01T00:00:02Z"} {
		list[i].Entry.Time, _ = time.Parse(time.RFC3339, at)
	}
	deliver(t, newFiles(t, folder, 1<<20), list)
	if _, names := readFolder(t, folder); len(names) != 2 {
		t.Errorf("files are %q", names)
	}
}

// A process dies after each byte of a delivery; the next one goes on, and the files are as if nothing had happened.
func TestFilesSurviveEveryCut(t *testing.T) {
	before, after := events("s", 0, 3), events("s", 3, 9)
	const most = 2000 // three or so lines in a file
	whole := t.TempDir()
	s := newFiles(t, whole, most)
	deliver(t, s, before)
	deliver(t, s, after)
	want, wantNames := readFolder(t, whole)

	total := len(strings.Join(want, ""))
	start := len(strings.Join(want[:3], ""))
	for cut := start; cut <= total; cut += 97 {
		folder := t.TempDir()
		copyCut(t, whole, wantNames, folder, cut)
		s := newFiles(t, folder, most)
		deliver(t, s, after)
		deliver(t, s, events("s", 9, 10))
		got, _ := readFolder(t, folder)
		if !slices.Equal(got, append(slices.Clone(want), wantLines(events("s", 9, 10))...)) {
			t.Fatalf("cut at byte %d: the files differ", cut)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// copyCut copies files up to so many bytes. One that was begun and has nothing yet is there, as after a crash.
func copyCut(t *testing.T, from string, names []string, to string, cut int) {
	t.Helper()
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		n := min(cut, len(text))
		writeFile(t, filepath.Join(to, name), string(text[:n]))
		if cut -= n; n < len(text) {
			return
		}
	}
}

// What stands in the folder counts as delivered only where it is the same.
func TestFilesRefuseAFolderOfOtherEntries(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, folder string){
		"another log": func(t *testing.T, folder string) {
			t.Helper()
			deliver(t, newFiles(t, folder, 2000), events("o", 0, 20))
		},
		"the middle is missing": func(t *testing.T, folder string) {
			t.Helper()
			deliver(t, newFiles(t, folder, 2000), events("s", 0, 20))
			_, names := readFolder(t, folder)
			if err := os.Remove(filepath.Join(folder, names[1])); err != nil {
				t.Fatal(err)
			}
		},
		"the beginning is missing": func(t *testing.T, folder string) {
			t.Helper()
			deliver(t, newFiles(t, folder, 2000), events("s", 10, 20))
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			prepare(t, folder)
			before, _ := readFolder(t, folder)
			if err := newFiles(t, folder, 2000).Deliver(t.Context(), events("s", 0, 30)); err == nil {
				t.Error("delivered")
			}
			if after, _ := readFolder(t, folder); !slices.Equal(before, after) {
				t.Error("wrote to the folder")
			}
		})
	}
}

// Files that were moved away are not missed: the next ones begin where the log goes on.
func TestFilesMayBeMovedAway(t *testing.T) {
	folder := t.TempDir()
	s := newFiles(t, folder, 2000)
	deliver(t, s, events("s", 0, 10))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, names := readFolder(t, folder)
	for _, name := range names {
		if err := os.Remove(filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	deliver(t, newFiles(t, folder, 2000), events("s", 10, 20))
	if lines, _ := readFolder(t, folder); !slices.Equal(lines, wantLines(events("s", 10, 20))) {
		t.Error("the files differ")
	}
}
