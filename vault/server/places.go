package server

import "sync"

const (
	// roomForStreams is how many of the vault's streams are open at once: each reads
	// the audit log for as long as it lasts.
	roomForStreams = 64
	// roomForOne is how many of them one caller has.
	roomForOne = 8
)

// places counts the streams that are open, so that neither all callers nor one of
// them open too many. The zero places are all free.
type places struct {
	mu    sync.Mutex
	total int
	of    map[string]int
}

// take takes a place for a caller, who gives it back with leave, once. False: there
// is none.
func (p *places) take(caller string) (leave func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.total >= roomForStreams || p.of[caller] >= roomForOne {
		return nil, false
	}
	if p.of == nil {
		p.of = map[string]int{}
	}
	p.total++
	p.of[caller]++
	return func() { p.leave(caller) }, true
}

func (p *places) leave(caller string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total--
	if p.of[caller]--; p.of[caller] == 0 {
		delete(p.of, caller)
	}
}

// taken returns how many streams are open.
func (p *places) taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}
