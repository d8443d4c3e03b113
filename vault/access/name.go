package access

// A name has at most this many characters, and this many of them digits.
const (
	maxNameLength = 63
	maxNameDigits = 8
)

// IsName reports whether text can be the name of a tenant or of a principal: lower-case letters, digits and hyphens.
// Such a name needs no escaping in a policy, a log or a row, so it reads the same in all of them; one with the digits of
// a PAN would carry it into all of them in clear (P4). Certificates and policies are held to the same names: a forbid
// about a name that no caller can have would forbid nothing. Without a slash in either, no two principals share the one
// name, tenant/name, that policy knows them by.
func IsName(text string) bool {
	digits := 0
	for _, c := range []byte(text) {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case (c < 'a' || c > 'z') && c != '-':
			return false
		}
	}
	return text != "" && len(text) <= maxNameLength && digits <= maxNameDigits
}
