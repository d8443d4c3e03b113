package main

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// repository is where the documents lie, seen from this package.
const repository = "../.."

// What the documents name is there: pages that they link to, files, folders, and tests. A test that stands after a
// folder in its cell of a table, as those of DESIGN.md's promises do, is in that folder.
func TestDocumentsNameWhatIsThere(t *testing.T) {
	pages := glob(t, "*.md")
	tests := declaredTests(t)
	checked := 0
	for _, page := range pages {
		for cell := range strings.FieldsFuncSeq(string(readFile(t, page)), func(r rune) bool { return r == '|' || r == '\n' }) {
			folder := "."
			for _, name := range namesIn(cell) {
				switch {
				case !isTest.MatchString(name):
					folder = name
					if len(glob(t, name)) == 0 {
						t.Errorf("%s: there is no %s", filepath.Base(page), name)
					}
				case !tests[folder][name]:
					t.Errorf("%s: there is no %s in %s", filepath.Base(page), name, folder)
				default:
					checked++
				}
			}
		}
	}
	if len(pages) < 6 || checked < 30 {
		t.Errorf("found %d documents that name %d tests", len(pages), checked)
	}
}

var (
	isTest = regexp.MustCompile(`^(?:Test|Fuzz)[A-Z]`)
	// A name is a path in the top folders or a test, in backquotes or not, or the target of a link.
	isName = regexp.MustCompile("`((?:cmd|crypto|deploy|proto|tokenizer|vault)(?:/[^` ]*)?)`" +
		`|\b((?:Test|Fuzz)[A-Z]\w+)|\]\(([^):]+)\)`)
	isDeclared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
)

func namesIn(text string) []string {
	var names []string
	for _, match := range isName.FindAllStringSubmatch(text, -1) {
		names = append(names, strings.Join(match[1:], ""))
	}
	return names
}

// declaredTests returns the tests of each folder, and all of them as those of ".".
func declaredTests(t *testing.T) map[string]map[string]bool {
	t.Helper()
	tests := map[string]map[string]bool{".": {}}
	err := filepath.WalkDir(repository, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		folder, err := filepath.Rel(repository, filepath.Dir(path))
		if tests[folder] == nil {
			tests[folder] = map[string]bool{}
		}
		for _, match := range isDeclared.FindAllStringSubmatch(string(readFile(t, path)), -1) {
			tests["."][match[1]], tests[folder][match[1]] = true, true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(repository, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return found
}
