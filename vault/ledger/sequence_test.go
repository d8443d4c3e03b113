package ledger_test

import "testing"

func TestChainsBecomeOneLog(t *testing.T) {
	s := newSite(t)
	a, b := s.writer(), s.writer()
	l := s.ledger(nil)
	s.step(l)
	for i := range 20 {
		a.write(i*37 + 1)
		b.write(i + 1)
		s.step(l)
	}
	s.checkLog(l)
}
