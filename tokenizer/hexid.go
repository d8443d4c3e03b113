package tokenizer

// inHexID reports whether the word from start to end belongs to a hexadecimal id: a UUID, the trace ids of W3C Trace
// Context, a hash in groups. Parts of those are all digits now and then, but their neighbours are not: an id has 32
// hexadecimal digits or more in words joined by dashes, with a letter among them or the form of a UUID.
func inHexID(s string, start, end int) bool {
	// An id that is longer would not be recognised; the bound keeps a long text from being walked again for each word.
	const longest = 80
	from, to := start, end
	for from > 0 && joins(s[from-1]) && end-from <= longest {
		from--
	}
	for to < len(s) && joins(s[to]) && to-start <= longest {
		to++
	}
	hex, letters := 0, 0
	for _, c := range []byte(s[from:to]) {
		switch {
		case isDigit(c):
			hex++
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			hex++
			letters++
		case c != '-':
			return false
		}
	}
	return hex >= 32 && to-from <= longest && (letters > 0 || hasUUIDForm(s[from:to]))
}

// joins reports whether c is part of an id: a letter, a digit or the dash between them.
func joins(c byte) bool { return isDigit(c) || isLetter(c) || c == '-' }

// hasUUIDForm reports whether s has the length and dashes of a UUID, RFC 9562 section 4.
func hasUUIDForm(s string) bool {
	return len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-'
}
