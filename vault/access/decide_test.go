package access_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/vault/access"
)

// statement is a policy in Go, to compare Cedar's answers with.
type statement struct {
	id      string
	forbid  bool
	tenant  string // any where empty, like what follows
	staff   bool   // of the deployment; tenant is empty
	name    string
	actions []access.Action
	// Of detokenizing alone; where they are set, actions is [DetokenizeCard].
	purpose, view string
}

func (s statement) cedar() string {
	effect, principal := "permit", "principal"
	if s.forbid {
		effect = "forbid"
	}
	if s.tenant != "" {
		principal = fmt.Sprintf(`principal in Tenant::%q`, s.tenant)
	}
	if s.staff {
		principal = "principal is Staff"
	}
	action := "action"
	if s.actions != nil {
		var names []string
		for _, a := range s.actions {
			names = append(names, fmt.Sprintf(`Action::%q`, a))
		}
		action = "action in [" + strings.Join(names, ", ") + "]"
	}
	text := fmt.Sprintf("@id(%q)\n%s (%s, %s, resource)", s.id, effect, principal, action)
	if s.name != "" {
		text += fmt.Sprintf("\nwhen { principal.name == %q }", s.name)
	}
	if s.purpose != "" {
		text += fmt.Sprintf("\nwhen { context.purpose == %q }", s.purpose)
	}
	if s.view != "" {
		text += fmt.Sprintf("\nunless { context.view != View::%q }", s.view)
	}
	return text + ";\n"
}

func (s statement) matches(r access.Request) bool {
	return (s.tenant == "" || s.tenant == r.Tenant) &&
		(!s.staff || r.Staff) &&
		(s.name == "" || s.name == r.Principal) &&
		(s.actions == nil || slices.Contains(s.actions, r.Action)) &&
		(s.purpose == "" || s.purpose == r.Purpose) &&
		(s.view == "" || s.view == r.View)
}

// complete reports whether a request can be allowed at all.
func complete(r access.Request) bool {
	if !slices.Contains(access.Actions(), r.Action) || r.Staff == (r.Tenant != "") || r.Principal == "" {
		return false
	}
	if r.Staff && !slices.Contains(staffActions(), r.Action) || !r.Staff && slices.Contains(staffOnly(), r.Action) {
		return false
	}
	switch r.Action {
	case access.DetokenizeCard:
		return r.Purpose != "" && slices.Contains([]string{"LAST_FOUR", "MASKED", "FULL"}, r.View)
	case access.IssueCard, access.CreateBinRange, access.GetBinRange, access.PauseBinRange, access.ResumeBinRange:
		return r.BINRange != ""
	default:
		return true
	}
}

// staffActions are all that the deployment's staff can ever do.
func staffActions() []access.Action {
	return []access.Action{
		access.ReadLog, access.GetCheckpoint, access.GetEntry, access.GetInclusionProof, access.GetConsistencyProof, access.ListKeys,
	}
}

// staffOnly is what a tenant's callers can never do.
func staffOnly() []access.Action { return []access.Action{access.ReadLog, access.ListKeys} }

// decide is Decide in other words: a forbid outweighs every permit, and of
// several the first by id is named.
func decide(statements []statement, r access.Request) access.Decision {
	var permit, forbid string
	for _, s := range statements {
		switch first := &permit; {
		case !s.matches(r):
		case s.forbid:
			first = &forbid
			fallthrough
		default:
			if *first == "" || s.id < *first {
				*first = s.id
			}
		}
	}
	switch {
	case !complete(r):
		return access.Decision{}
	case forbid != "":
		return access.Decision{Policy: forbid}
	default:
		return access.Decision{Allowed: permit != "", Policy: permit}
	}
}

func anyStatement(id string) *rapid.Generator[statement] {
	return rapid.Custom(func(t *rapid.T) statement {
		s := statement{
			id:      id,
			forbid:  rapid.IntRange(0, 3).Draw(t, "effect") == 0,
			tenant:  rapid.SampledFrom([]string{"", "acme", "demo"}).Draw(t, "tenant"),
			name:    rapid.SampledFrom([]string{"", "", "issuer", "support"}).Draw(t, "name"),
			purpose: rapid.SampledFrom([]string{"", "", "settlement", "support"}).Draw(t, "purpose"),
			view:    rapid.SampledFrom([]string{"", "", "LAST_FOUR", "FULL"}).Draw(t, "view"),
		}
		switch {
		case s.purpose != "" || s.view != "":
			s.actions = []access.Action{access.DetokenizeCard}
		case s.tenant == "" && rapid.IntRange(0, 3).Draw(t, "staff") == 0:
			s.staff = true
			s.actions = rapid.SampledFrom([][]access.Action{nil, {access.ReadLog}, staffActions()}).Draw(t, "staff actions")
		case rapid.Bool().Draw(t, "scoped"):
			s.actions = rapid.SliceOfN(rapid.SampledFrom(access.Actions()), 1, 4).Draw(t, "actions")
			// What no request could ask makes a policy that does not load.
			if s.tenant != "" && !slices.ContainsFunc(s.actions, func(a access.Action) bool { return !slices.Contains(staffOnly(), a) }) {
				s.actions = append(s.actions, access.GetEntry)
			}
		}
		return s
	})
}

func anyRequest() *rapid.Generator[access.Request] {
	return rapid.Custom(func(t *rapid.T) access.Request {
		staff := rapid.Bool().Draw(t, "staff")
		tenants := []string{"acme", "demo", "other", ""}
		if staff {
			tenants = []string{"", "", "", "acme"}
		}
		return access.Request{
			Staff:     staff,
			Tenant:    rapid.SampledFrom(tenants).Draw(t, "tenant"),
			Principal: rapid.SampledFrom([]string{"issuer", "support", "payments", ""}).Draw(t, "principal"),
			Action:    rapid.SampledFrom(append(access.Actions(), access.DetokenizeCard, access.DetokenizeCard, "", "Steal")).Draw(t, "action"),
			Purpose:   rapid.SampledFrom([]string{"settlement", "support", "marketing", ""}).Draw(t, "purpose"),
			View:      rapid.SampledFrom([]string{"LAST_FOUR", "MASKED", "FULL", "full", ""}).Draw(t, "view"),
			BINRange:  rapid.SampledFrom([]string{"demo", ""}).Draw(t, "range"),
		}
	})
}

func TestDecideLikeTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var statements []statement
		var text strings.Builder
		for _, id := range rapid.Permutation([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "ids")[:rapid.IntRange(0, 6).Draw(t, "n")] {
			s := anyStatement(id).Draw(t, "statement")
			statements = append(statements, s)
			text.WriteString(s.cedar())
		}
		p, err := access.Parse("p.cedar", []byte(text.String()))
		if err != nil {
			t.Fatalf("%s\n%v", text.String(), err)
		}
		for range 20 {
			r := anyRequest().Draw(t, "request")
			want := decide(statements, r)
			for range 2 { // evaluated, then remembered
				if got := p.Decide(r); got != want {
					t.Fatalf("%+v\n%s\ngot %+v, want %+v", r, text.String(), got, want)
				}
			}
		}
	})
}

// TestDefaultDeny is P8, under a policy that permits everything.
func TestDefaultDeny(t *testing.T) {
	p := parse(t, permitAll)
	good := access.Request{Tenant: "demo", Principal: "payments", Action: access.DetokenizeCard, Purpose: "settlement", View: "FULL"}
	if d := p.Decide(good); !d.Allowed {
		t.Fatalf("the request that the others are made from: %+v", d)
	}
	issue := access.Request{Tenant: "demo", Principal: "issuer", Action: access.IssueCard, BINRange: "demo"}
	if d := p.Decide(issue); !d.Allowed {
		t.Fatalf("issuing: %+v", d)
	}
	log := access.Request{Staff: true, Principal: "auditor", Action: access.ReadLog}
	if d := p.Decide(log); !d.Allowed {
		t.Fatalf("reading the log: %+v", d)
	}
	with := func(r access.Request, change func(*access.Request)) access.Request {
		change(&r)
		return r
	}
	for name, r := range map[string]access.Request{
		"nothing":             {},
		"staff":               with(good, func(r *access.Request) { r.Tenant, r.Staff = "", true }),
		"staff of a tenant":   with(log, func(r *access.Request) { r.Tenant = "demo" }),
		"staff without name":  with(log, func(r *access.Request) { r.Principal = "" }),
		"staff with slash":    with(log, func(r *access.Request) { r.Principal = "demo/auditor" }),
		"log of a tenant":     with(log, func(r *access.Request) { r.Tenant, r.Staff = "demo", false }),
		"log of nobody":       with(log, func(r *access.Request) { r.Staff = false }),
		"keys of a tenant":    with(log, func(r *access.Request) { r.Tenant, r.Staff, r.Action = "demo", false, access.ListKeys }),
		"no tenant":           with(good, func(r *access.Request) { r.Tenant = "" }),
		"no principal":        with(good, func(r *access.Request) { r.Principal = "" }),
		"no action":           with(good, func(r *access.Request) { r.Action = "" }),
		"unknown action":      with(good, func(r *access.Request) { r.Action = "Steal" }),
		"action as an entity": with(good, func(r *access.Request) { r.Action = `Action::"GetCard"` }),
		"no purpose":          with(good, func(r *access.Request) { r.Purpose = "" }),
		"no view":             with(good, func(r *access.Request) { r.View = "" }),
		"unknown view":        with(good, func(r *access.Request) { r.View = "ALL" }),
		"no range":            with(issue, func(r *access.Request) { r.BINRange = "" }),
		"tenant with slash":   with(good, func(r *access.Request) { r.Tenant = "demo/payments" }),
		"name with slash":     with(good, func(r *access.Request) { r.Principal = "payments/x" }),
		"tenant of dots":      with(good, func(r *access.Request) { r.Tenant = ".." }),
		"tenant with a space": with(good, func(r *access.Request) { r.Tenant = "demo " }),
		"tenant in Cyrillic":  with(good, func(r *access.Request) { r.Tenant = "dеmo" }),
		"long name":           with(good, func(r *access.Request) { r.Principal = strings.Repeat("a", 257) }),
		"long purpose":        with(good, func(r *access.Request) { r.Purpose = strings.Repeat("a", 257) }),
	} {
		for which, p := range map[string]*access.Policy{"permit all": p, "empty": parse(t, ""), "zero": {}, "nil": nil} {
			if d := p.Decide(r); d != (access.Decision{}) {
				t.Errorf("%s, under the %s policy: %+v", name, which, d)
			}
		}
	}
	for which, p := range map[string]*access.Policy{"empty": parse(t, ""), "zero": {}, "nil": nil} {
		if d := p.Decide(good); d != (access.Decision{}) {
			t.Errorf("a good request, under the %s policy: %+v", which, d)
		}
	}
}

// TestStaffAndTenantsStayApart: whatever a policy permits, staff does nothing with
// cards and a tenant's caller never reads the whole log or the list of keys.
func TestStaffAndTenantsStayApart(t *testing.T) {
	p := parse(t, permitAll)
	for _, a := range access.Actions() {
		staff := access.Request{Staff: true, Principal: "auditor", Action: a, Purpose: "settlement", View: "FULL", BINRange: "demo"}
		tenant := staff
		tenant.Staff, tenant.Tenant = false, "demo"
		if got, want := p.Decide(staff).Allowed, slices.Contains(staffActions(), a); got != want {
			t.Errorf("staff: %s: allowed=%t, want %t", a, got, want)
		}
		if got, want := p.Decide(tenant).Allowed, !slices.Contains(staffOnly(), a); got != want {
			t.Errorf("tenant: %s: allowed=%t, want %t", a, got, want)
		}
	}
}

// TestStaffIsNoPrincipalOfATenant: the same name is another's in every tenant and
// among the staff.
func TestStaffIsNoPrincipalOfATenant(t *testing.T) {
	staff := access.Request{Staff: true, Principal: "auditor", Action: access.GetEntry}
	tenant := access.Request{Tenant: "staff", Principal: "auditor", Action: access.GetEntry}
	for text, want := range map[string][2]bool{
		`@id("a") permit (principal == Staff::"auditor", action, resource);`:                        {true, false},
		`@id("a") permit (principal is Staff, action, resource);`:                                   {true, false},
		`@id("a") permit (principal, action, resource == Deployment::"cardvault");`:                 {true, false},
		`@id("a") permit (principal == Principal::"staff/auditor", action, resource);`:              {false, true},
		`@id("a") permit (principal in Tenant::"staff", action, resource);`:                         {false, true},
		`@id("a") permit (principal, action, resource) when { principal.tenant == "staff" };`:       {false, true},
		`@id("a") permit (principal, action, resource) when { principal.name == "auditor" };`:       {true, true},
		`@id("a") permit (principal == Staff::"issuer", action, resource);`:                         {false, false},
		permitAll + `@id("b") forbid (principal is Staff, action == Action::"GetEntry", resource);`: {false, true},
	} {
		p := parse(t, text)
		if got := [2]bool{p.Decide(staff).Allowed, p.Decide(tenant).Allowed}; got != want {
			t.Errorf("%s\nstaff and tenant allowed: %v, want %v", text, got, want)
		}
	}
}

// TestNoNamePassesForAnother draws tenants and names that together read like
// acme's payments.
func TestNoNamePassesForAnother(t *testing.T) {
	p := parse(t, `@id("one") permit (principal == Principal::"acme/payments", action, resource);`)
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.OneOf(rapid.SampledFrom([]string{"acme", "payments", "acme/payments", "acme/", "/payments", ""}), rapid.String())
		r := access.Request{Tenant: part.Draw(t, "tenant"), Principal: part.Draw(t, "principal"), Action: access.GetCard}
		if got, want := p.Decide(r).Allowed, r.Tenant == "acme" && r.Principal == "payments"; got != want {
			t.Fatalf("%+v: allowed=%t", r, got)
		}
	})
}

// TestWhatCannotBeEvaluatedDenies uses the one error that no type check finds.
func TestWhatCannotBeEvaluatedDenies(t *testing.T) {
	const overflow = "when { principal.name == \"issuer\" && 9223372036854775807 + 1 == 0 };\n"
	for name, tc := range map[string]struct {
		text string
		want access.Decision
	}{
		"permit":            {`@id("broken") permit (principal, action, resource) ` + overflow, access.Decision{Policy: "broken"}},
		"forbid":            {permitAll + `@id("broken") forbid (principal, action, resource) ` + overflow, access.Decision{Policy: "broken"}},
		"beside a permit":   {permitAll + `@id("broken") permit (principal, action, resource) ` + overflow, access.Decision{Policy: "broken"}},
		"beside a forbid":   {`@id("no") forbid (principal, action, resource); @id("broken") permit (principal, action, resource) ` + overflow, access.Decision{Policy: "no"}},
		"where not reached": {permitAll + `@id("broken") forbid (principal, action == Action::"ListCards", resource) ` + overflow, access.Decision{Allowed: true, Policy: "all"}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := parse(t, tc.text).Decide(access.Request{Tenant: "demo", Principal: "issuer", Action: access.GetCard}); d != tc.want {
				t.Errorf("%+v, want %+v", d, tc.want)
			}
		})
	}
}

func TestDecideAtOnceFromManyGoroutines(t *testing.T) {
	p := parse(t, string(access.DemoPolicy()))
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			for j := range 500 {
				r := access.Request{Tenant: "demo", Principal: "payments", Action: access.DetokenizeCard, Purpose: fmt.Sprint(i, j), View: "FULL"}
				if d := p.Decide(r); d != (access.Decision{Policy: "full-pan-for-settlement-only"}) {
					t.Errorf("%+v: %+v", r, d)
				}
			}
		})
	}
	callers.Wait()
}
