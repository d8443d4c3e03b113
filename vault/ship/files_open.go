package ship

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// fileName is what a file's name says.
type fileName struct {
	first int64
	day   string // of the newest entry when it was begun, 20060102; empty: unknown
}

func (n fileName) String() string {
	if n.day == "" {
		n.day = "00000000"
	}
	return fmt.Sprintf("audit-%016d-%s", n.first, n.day)
}

// open finds the newest file and repairs it. Without one, s.file stays nil and the
// first entry begins one.
func (s *Files) open() error {
	s.file, s.day, s.next = nil, "", 0
	names, err := s.names()
	if err != nil {
		return err
	}
	for _, name := range slices.Backward(names) {
		empty, err := s.adopt(name)
		if err != nil || !empty {
			return err
		}
	}
	return nil
}

// names returns the files of this format, in order.
func (s *Files) names() ([]fileName, error) {
	pattern := regexp.MustCompile(`^audit-(\d{16})-(\d{8})` + regexp.QuoteMeta(s.suffix) + `$`)
	entries, err := os.ReadDir(s.cfg.Folder) // sorted
	if err != nil {
		return nil, err
	}
	var names []fileName
	for _, e := range entries {
		if m := pattern.FindStringSubmatch(e.Name()); m != nil {
			first, err := strconv.ParseInt(m[1], 10, 64)
			if err != nil {
				return nil, err
			}
			names = append(names, fileName{first, m[2]})
		}
	}
	return names, nil
}

// adopt goes on with a file: it cuts off a line without an end, which was never
// acknowledged, and counts the others. A file without lines is removed.
func (s *Files) adopt(name fileName) (empty bool, err error) {
	path := filepath.Join(s.cfg.Folder, name.String()+s.suffix)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return false, err
	}
	lines, size, err := countLines(f)
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		// What is found here counts as delivered, so it has to be on the disk.
		err = f.Sync()
	}
	if err != nil || lines == 0 {
		err = errors.Join(err, f.Close())
		if err == nil {
			err = os.Remove(path)
		}
		return true, err
	}
	s.file, s.day, s.next = f, name.day, name.first+lines
	s.good, s.size = size, size
	return false, nil
}

// countLines returns how many whole lines there are, and where the last ends.
func countLines(f io.Reader) (lines, size int64, err error) {
	r := bufio.NewReaderSize(f, 1<<18)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return lines, size, nil
		}
		if err != nil {
			return 0, 0, err
		}
		lines, size = lines+1, size+int64(len(line))
	}
}
