package access

import (
	"slices"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

// maxDecided bounds how many decisions a Policy remembers. Purposes are the
// caller's to choose: what is remembered must not grow with them.
const maxDecided = 4096

// Decision answers a Request. The zero Decision denies.
type Decision struct {
	Allowed bool
	// Policy is the @id of the policy that decided: the one that permits, the one
	// that forbids, or the one that could not be evaluated; of several the first in
	// order of id. Empty where none matched.
	Policy string
}

// Decide answers a request. It is a pure function of policy and request, and
// remembers its answers for as long as the Policy lives.
func (p *Policy) Decide(r Request) Decision {
	if p == nil {
		return Decision{}
	}
	r, ok := p.relevant(r)
	if !ok {
		return Decision{}
	}
	p.mu.RLock()
	d, ok := p.decided[r]
	p.mu.RUnlock()
	if ok {
		return d
	}
	d = p.evaluate(r)
	p.remember(r, d)
	return d
}

func (p *Policy) remember(r Request, d Decision) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.decided) >= maxDecided {
		clear(p.decided)
	}
	p.decided[r] = d
}

// relevant returns the request without what its action's context does not have,
// and false where something is missing or cannot be.
func (p *Policy) relevant(r Request) (Request, bool) {
	attributes, known := p.contexts[r.Action]
	if !known || !r.possible() {
		return Request{}, false
	}
	out := Request{Tenant: r.Tenant, Principal: r.Principal, Staff: r.Staff, Action: r.Action}
	for _, name := range attributes {
		value := r.attribute(name)
		if value == nil || *value == "" || len(*value) > maxName {
			return Request{}, false
		}
		*out.attribute(name) = *value
	}
	if out.View != "" && !slices.Contains(p.views, viewUID(out.View)) {
		return Request{}, false
	}
	return out, true
}

func (p *Policy) evaluate(r Request) Decision {
	asked, entities := p.translate(r)
	allowed, why := cedar.Authorize(p.rules, entities, asked)
	switch {
	case allowed == cedar.Deny && len(why.Reasons) > 0:
		return Decision{Policy: string(why.Reasons[0].PolicyID)}
	case len(why.Errors) > 0:
		// Cedar leaves out a policy that it cannot evaluate. It may be a forbid.
		return Decision{Policy: string(why.Errors[0].PolicyID)}
	case allowed == cedar.Allow:
		return Decision{Allowed: true, Policy: string(why.Reasons[0].PolicyID)}
	default:
		return Decision{}
	}
}

// translate puts a relevant request in Cedar's terms.
func (p *Policy) translate(r Request) (cedar.Request, cedar.EntityMap) {
	principal, resource := r.parties()
	context := make(types.RecordMap)
	for _, name := range p.contexts[r.Action] {
		context[name] = types.String(*r.attribute(name))
		if name == "view" {
			context[name] = viewUID(r.View)
		}
	}
	return cedar.Request{
		Principal: principal.UID,
		Action:    types.NewEntityUID(actionType, types.String(r.Action)),
		Resource:  resource.UID,
		Context:   types.NewRecord(context),
	}, cedar.EntityMap{principal.UID: principal, resource.UID: resource}
}

// parties returns who asks, and what it may be about: a tenant's caller and its
// own tenant, or staff and the deployment.
func (r *Request) parties() (principal, resource types.Entity) {
	principal.Attributes = types.NewRecord(types.RecordMap{
		"name":   types.String(r.Principal),
		"tenant": types.String(r.Tenant),
	})
	if r.Staff {
		principal.UID = types.NewEntityUID(staffType, types.String(r.Principal))
		resource.UID = types.NewEntityUID(deploymentType, deployment)
		return principal, resource
	}
	resource.UID = types.NewEntityUID(tenantType, types.String(r.Tenant))
	principal.UID = types.NewEntityUID(principalType, types.String(r.Tenant+"/"+r.Principal))
	principal.Parents = types.NewEntityUIDSet(resource.UID)
	return principal, resource
}

func viewUID(view string) types.EntityUID {
	return types.NewEntityUID(viewType, types.String(view))
}
