package witness_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// TestConcurrent: many ask at once for trees that exclude each other. What is
// cosigned lies on one line, and the last of it is remembered.
func TestConcurrent(t *testing.T) {
	const size = 40
	a := newTree(t, origin, size)
	b := a.fork(t)
	s := newSite(t, a)
	s.accept(t, a.request(t, 0, 3))

	var bodies [][]byte
	var trees []*tree
	for old := int64(3); old < size; old += 2 {
		for _, l := range []*tree{a, b} {
			for _, grown := range []int64{old, old + 2, old + 5} {
				bodies, trees = append(bodies, l.request(t, old, min(grown, size))), append(trees, l)
			}
		}
	}
	var mu sync.Mutex
	won := make(map[*tree]bool)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i, body := range bodies {
				answer := s.post(body)
				mu.Lock()
				switch answer.Code {
				case http.StatusOK:
					won[trees[i]] = won[trees[i]] || !isCommon(body)
				case http.StatusConflict, http.StatusUnprocessableEntity:
				default:
					t.Errorf("status %d %q", answer.Code, answer.Body)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(won) > 1 && won[a] && won[b] {
		t.Error("two trees were cosigned")
	}
	if !won[a] && !won[b] {
		t.Error("none was cosigned: the test asks nothing")
	}
	largest := s.monitor(origin).Body.String()
	s.restart(t)
	if got := s.monitor(origin).Body.String(); got != largest {
		t.Errorf("remembers another checkpoint than it showed:\n%s\n%s", got, largest)
	}
	if _, err := note.Open([]byte(largest), note.VerifierList(s.verifier(t), a.key)); err != nil {
		t.Error(err)
	}
}

// isCommon reports whether a request is for the tree that both have.
func isCommon(body []byte) bool {
	var old, size int64
	_, err := fmt.Sscanf(string(body), "old %d\n\n"+origin+"\n%d\n", &old, &size)
	return err == nil && size == 3
}
