package review_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"testing/fstest"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/review"
)

// exported is a folder of a log of size entries, whose bodies are their indexes.
func exported(size int64) fstest.MapFS {
	c := audit.Checkpoint{Origin: "cards.example.com/audit", Size: size}
	folder := fstest.MapFS{"checkpoint": &fstest.MapFile{Data: []byte(c.Text() + "\n— cards.example.com/audit AAAA\n")}}
	for _, t := range audit.LogTiles(0, size) {
		var data []byte
		for i := range int64(t.W) {
			if t.L == audit.EntriesLevel {
				data = audit.AppendBundle(data, fmt.Append(nil, t.N*audit.TileWidth+i))
			} else {
				data = append(data, make([]byte, 32)...)
			}
		}
		folder[audit.TilePath(t)] = &fstest.MapFile{Data: data}
	}
	return folder
}

func TestEntriesOfFolder(t *testing.T) {
	for _, size := range []int64{0, 1, 255, 256, 257, 512, 1000} {
		folder := exported(size)
		c, err := review.Folder(folder)
		if err != nil || c.Size != size || c.Origin != "cards.example.com/audit" {
			t.Fatalf("Folder: %v, %v", c, err)
		}
		for _, first := range []int64{0, 1, 255, 256, 300, size, size + 1} {
			want := first
			for e, err := range review.Entries(folder, c.Size, first) {
				if err != nil {
					t.Fatal(err)
				}
				if e.Index != want || string(e.Body) != fmt.Sprint(want) {
					t.Fatalf("entry %d with body %q, want %d", e.Index, e.Body, want)
				}
				want++
			}
			if want != max(first, size) {
				t.Errorf("of %d from %d on: ended at %d", size, first, want)
			}
		}
	}
}

func TestDroppedEntriesOfFolder(t *testing.T) {
	folder := exported(600)
	delete(folder, "tile/entries/000")
	var data []byte
	for i := range audit.TileWidth {
		var body []byte
		if i >= 10 {
			body = []byte("x")
		}
		data = audit.AppendBundle(data, body)
	}
	folder["tile/entries/001"].Data = data

	dropped := 0
	for e, err := range review.Entries(folder, 600, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Body == nil {
			dropped++
		}
	}
	if dropped != 266 {
		t.Errorf("%d entries without body, want 266", dropped)
	}
}

// A log from which something was lost is never taken for a shorter one.
func TestBrokenFolder(t *testing.T) {
	partial := audit.TilePath(tlog.Tile{H: audit.TileHeight, L: audit.EntriesLevel, N: 2, W: 88})
	tests := map[string]func(fstest.MapFS){
		"no checkpoint":      func(f fstest.MapFS) { delete(f, "checkpoint") },
		"unsigned":           func(f fstest.MapFS) { f["checkpoint"].Data = []byte(audit.Checkpoint{Origin: "x"}.Text()) },
		"no file":            func(f fstest.MapFS) { f["tile/entries/001"].Mode = fs.ModeDevice },
		"too long":           func(f fstest.MapFS) { f["checkpoint"].Data = make([]byte, 2<<20) },
		"no note":            func(f fstest.MapFS) { f["checkpoint"].Data = []byte("hello\n\n") },
		"bundle and tile":    func(f fstest.MapFS) { delete(f, "tile/entries/001"); delete(f, "tile/0/001") },
		"bundle cut":         func(f fstest.MapFS) { f["tile/entries/001"].Data = f["tile/entries/001"].Data[:100] },
		"bundle of too few":  func(f fstest.MapFS) { f[partial].Data = f[partial].Data[:5] },
		"bundle of too many": func(f fstest.MapFS) { f[partial].Data = f["tile/entries/000"].Data },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			folder := exported(600)
			spoil(folder)
			c, err := review.Folder(folder)
			if err == nil {
				for _, e := range review.Entries(folder, c.Size, 0) {
					err = e
				}
			}
			if !errors.Is(err, review.ErrFolder) {
				t.Errorf("error %v", err)
			}
		})
	}
}
