package pan

// Size returns how many PANs the range holds, reserved ones included: N of [NewPermutation]. It is 0 if the range is
// not valid.
func (r Range) Size() uint64 {
	payloads, ok := r.payloads()
	if !ok {
		return 0
	}
	return payloads.Last - payloads.First + 1
}

// At returns the PAN with index i, in numerical order: which of them a counter gets is [Permutation]'s business. It is
// the zero PAN if i is not below Size, so that a counter run past the end yields nothing that could be issued.
func (r Range) At(i uint64) PAN {
	payloads, ok := r.payloads()
	if !ok || i > payloads.Last-payloads.First {
		return PAN{}
	}
	payload := payloads.First + i
	number := payload*10 + CheckDigit(payload)
	return PAN{length: uint8(r.Length), number: &number} //nolint:gosec // payloads has checked that it is 12 to 19
}

// Index returns the index of p in the range, and whether p is in it.
func (r Range) Index(p PAN) (uint64, bool) {
	payloads, ok := r.payloads()
	if payload := p.Number() / 10; ok && p.Len() == r.Length && payloads.contains(payload) {
		return payload - payloads.First, true
	}
	return 0, false
}

// Contains reports whether p is one of the range's PANs, reserved or not.
func (r Range) Contains(p PAN) bool {
	_, ok := r.Index(p)
	return ok
}

// Overlaps reports whether some PAN is in both ranges, reserved or not. PANs of different lengths are different PANs
// whatever they begin with, so ranges of different lengths never overlap; whether an issuer may use one prefix for two
// lengths is for its card network to say. A range that is not valid holds no PAN and overlaps nothing.
func (r Range) Overlaps(other Range) bool {
	a, okA := r.payloads()
	b, okB := other.payloads()
	return okA && okB && r.Length == other.Length && a.overlaps(b)
}

// IsReserved reports whether the PAN with index i must not be issued: it is reserved, or not in the range at all.
func (r Range) IsReserved(i uint64) bool {
	if i >= r.Size() {
		return true
	}
	free := r.sub().First + i
	for _, v := range r.Reserved {
		if v.contains(free) {
			return true
		}
	}
	return false
}

// payloads returns the range as one interval of PANs without their check digits: what makes containing and overlapping
// a matter of two comparisons. It is not ok for a range whose prefix, length or sub-interval is not valid.
func (r Range) payloads() (payloads Interval, ok bool) {
	free := r.freeDigits()
	if !isPrefix(r.Prefix) || r.Length < MinLength || r.Length > MaxLength || free < 1 {
		return Interval{}, false
	}
	sub := r.sub()
	if sub.First > sub.Last || sub.Last >= pow10(free) {
		return Interval{}, false
	}
	prefix := uint64(0)
	for _, c := range []byte(r.Prefix) {
		prefix = prefix*10 + uint64(c-'0')
	}
	base := prefix * pow10(free) // at most 18 digits in all
	return Interval{First: base + sub.First, Last: base + sub.Last}, true
}
