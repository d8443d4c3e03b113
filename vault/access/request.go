package access

import "github.com/cedar-policy/cedar-go/types"

// maxName bounds every string of a request, in bytes: decisions are remembered by
// request.
const maxName = 256

// Request is what Decide is asked. Purpose, View and BINRange matter only where
// the action has them; there they are required.
type Request struct {
	Tenant, Principal string
	Action            Action
	Purpose           string
	// View is LAST_FOUR, MASKED or FULL.
	View     string
	BINRange string
}

// attribute returns the field that an attribute of the context is read from; nil
// where there is none.
func (r *Request) attribute(name types.String) *string {
	switch name {
	case "purpose":
		return &r.Purpose
	case "view":
		return &r.View
	case "bin_range":
		return &r.BINRange
	default:
		return nil
	}
}

// isName reports whether text can be a tenant or a principal: one segment of a
// SPIFFE id's path (SPIFFE-ID §2.2). Without a slash in either, two principals
// never share the one name that policy knows them by.
func isName(text string) bool {
	if text == "" || text == "." || text == ".." || len(text) > maxName {
		return false
	}
	for i := range len(text) {
		c := text[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
