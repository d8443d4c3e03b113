package access

import "github.com/cedar-policy/cedar-go/types"

// maxName bounds every string of a request, in bytes: decisions are remembered by
// request.
const maxName = 256

// Request is what Decide is asked. Purpose, View and BINRange matter only where
// the action has them; there they are required.
type Request struct {
	Tenant, Principal string
	// Staff: the principal is one of the deployment's staff, and has no tenant.
	Staff   bool
	Action  Action
	Purpose string
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

// possible reports whether any policy at all may allow who asks to do what is
// asked. The schema says the same; this holds whatever a schema or a policy says.
func (r *Request) possible() bool {
	if !IsName(r.Principal) {
		return false
	}
	if r.Staff {
		return r.Tenant == "" && r.Action.forStaff()
	}
	return IsName(r.Tenant) && r.Action.forTenants()
}
