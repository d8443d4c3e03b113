package review

// tally counts by key. It has room for limit keys; what has none is counted in
// others, so that its sums hold everything.
type tally[K comparable, V any] struct {
	limit  int
	byKey  map[K]*V
	others V
	// full: others is of keys that had no room.
	full bool
}

func newTally[K comparable, V any](limit int) *tally[K, V] {
	return &tally[K, V]{limit: limit, byKey: make(map[K]*V)}
}

// of returns what is counted by key, to be added to.
func (t *tally[K, V]) of(key K) *V {
	if v, ok := t.byKey[key]; ok {
		return v
	}
	if len(t.byKey) >= t.limit {
		t.full = true
		return &t.others
	}
	v := new(V)
	t.byKey[key] = v
	return v
}
