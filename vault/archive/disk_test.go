package archive_test

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"testing/fstest"

	"github.com/cardvault/cardvault/vault/archive"
)

var errDied = errors.New("the process died")

// memory is a disk that forgets, when it crashes, what was not made durable: it
// keeps of each change as much as chance has it.
type memory struct {
	mu   sync.Mutex
	dice *dice
	left int // operations until the process dies

	now     map[string]*node // what a process sees
	durable map[string]*node
}

type node struct {
	folder          bool
	content, synced []byte
}

func newMemory() *memory {
	return &memory{left: 1 << 62, dice: &dice{}, now: map[string]*node{}, durable: map[string]*node{}}
}

// step is one more operation. It reports whether the process lives on.
func (m *memory) step() bool {
	m.left--
	return m.left >= 0
}

// files returns what a process sees.
func (m *memory) files() fstest.MapFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	files := fstest.MapFS{}
	for name, n := range m.now {
		if !n.folder {
			files[name] = &fstest.MapFile{Data: slices.Clone(n.content), Mode: 0o600}
		}
	}
	return files
}

func (m *memory) Open(name string) (fs.File, error) {
	m.mu.Lock()
	n := m.now[name]
	m.mu.Unlock()
	if n != nil && !n.folder {
		return fstest.MapFS{name: {Data: n.content, Mode: 0o600}}.Open(name)
	}
	return m.files().Open(name)
}

func (m *memory) Put(name string, content []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.step() {
		return errDied
	}
	for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
		if m.now[folder] == nil {
			m.now[folder] = &node{folder: true}
		}
	}
	n := m.now[name]
	if n == nil {
		n = &node{}
		m.now[name] = n
	}
	n.content = slices.Clone(content)
	if !m.step() {
		return errDied
	}
	n.synced = n.content
	return nil
}

func (m *memory) SyncFolder(folder string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.step() {
		return errDied
	}
	inFolder := func(name string, _ *node) bool { return path.Dir(name) == folder }
	maps.DeleteFunc(m.durable, inFolder)
	for name, n := range m.now {
		if inFolder(name, n) {
			m.durable[name] = n
		}
	}
	return nil
}

func (m *memory) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.step() {
		return errDied
	}
	m.now[to] = m.now[from]
	delete(m.now, from)
	return nil
}

func (m *memory) RemoveAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.step() {
		return errDied
	}
	maps.DeleteFunc(m.now, func(n string, _ *node) bool { return n == name || strings.HasPrefix(n, name+"/") })
	return nil
}

// crash returns what is there after the machine has started again.
func (m *memory) crash() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := newMemory()
	after.dice = m.dice
	names := map[string]bool{}
	for name := range m.now {
		names[name] = true
	}
	for name := range m.durable {
		names[name] = true
	}
	// Folders come before what is in them.
	for _, name := range slices.Sorted(maps.Keys(names)) {
		n := pick(m.dice, m.now[name], m.durable[name])
		if n == nil || path.Dir(name) != "." && after.now[path.Dir(name)] == nil {
			continue
		}
		kept := &node{folder: n.folder, content: n.content}
		if !slices.Equal(n.content, n.synced) {
			torn := slices.Clone(n.content[:m.dice.below(len(n.content)+1)])
			kept.content = pick(m.dice, n.content, n.synced, torn, make([]byte, len(n.content)))
		}
		kept.synced = kept.content
		after.now[name], after.durable[name] = kept, kept
	}
	return after
}

var _ archive.Disk = (*memory)(nil)
