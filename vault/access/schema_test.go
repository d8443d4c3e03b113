package access

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
	"pgregory.net/rapid"
)

func TestSchemaHasTheActionsAndNoOther(t *testing.T) {
	s, err := loadSchema()
	if err != nil {
		t.Fatal(err)
	}
	known := contexts(s)
	for _, a := range Actions() {
		attributes, ok := known[a]
		if !ok {
			t.Errorf("%s is not in the schema", a)
		}
		for _, name := range attributes {
			if (&Request{}).attribute(name) == nil {
				t.Errorf("%s: no request says the %s", a, name)
			}
		}
	}
	if len(s.Actions) != len(Actions()) || len(known) != len(Actions()) {
		t.Errorf("the schema has %d actions, Actions %d, %d of them known", len(s.Actions), len(Actions()), len(known))
	}
}

// TestSchemaSaysWhoMayAskWhat compares the schema with the check that holds without
// it.
func TestSchemaSaysWhoMayAskWhat(t *testing.T) {
	s, err := loadSchema()
	if err != nil {
		t.Fatal(err)
	}
	for uid, action := range s.Actions {
		a := Action(uid.ID)
		applies := action.AppliesTo
		if slices.Contains(applies.Principals, staffType) != a.forStaff() || slices.Contains(applies.Resources, deploymentType) != a.forStaff() {
			t.Errorf("%s: schema and check differ over staff", a)
		}
		if slices.Contains(applies.Principals, principalType) != a.forTenants() || slices.Contains(applies.Resources, tenantType) != a.forTenants() {
			t.Errorf("%s: schema and check differ over tenants", a)
		}
	}
}

// TestRequestsAreOfTheSchema is what policies are checked against: an attribute
// that a request lacked, or had in another type, would be an error at each
// decision.
func TestRequestsAreOfTheSchema(t *testing.T) {
	s, err := loadSchema()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse("p.cedar", nil)
	if err != nil {
		t.Fatal(err)
	}
	check := validate.New(s)
	rapid.Check(t, func(t *rapid.T) {
		asked := Request{
			Staff:     rapid.Bool().Draw(t, "staff"),
			Principal: rapid.StringMatching(`[a-z-]{1,20}[0-9]{0,8}`).Draw(t, "principal"),
			Action:    rapid.SampledFrom(Actions()).Draw(t, "action"),
			Purpose:   rapid.StringN(1, 20, 100).Draw(t, "purpose"),
			View:      rapid.SampledFrom([]string{"LAST_FOUR", "MASKED", "FULL"}).Draw(t, "view"),
			BINRange:  rapid.StringN(1, 20, 100).Draw(t, "range"),
		}
		if !asked.Staff {
			asked.Tenant = rapid.StringMatching(`[a-z-]{1,20}[0-9]{0,8}`).Draw(t, "tenant")
		}
		r, ok := p.relevant(asked)
		if !asked.possible() && !ok {
			return
		}
		if !ok {
			t.Fatal("refused")
		}
		translated, entities := p.translate(r)
		if err := check.Request(translated); err != nil {
			t.Error(err)
		}
		if err := check.Entities(entities); err != nil {
			t.Error(err)
		}
		for _, uid := range []types.EntityUID{translated.Principal, translated.Resource} {
			if _, ok := entities[uid]; !ok {
				t.Errorf("%s is not among the entities", uid)
			}
		}
	})
}

func TestDecisionsRememberedAreBounded(t *testing.T) {
	p, err := Parse("demo.cedar", DemoPolicy())
	if err != nil {
		t.Fatal(err)
	}
	r := Request{Tenant: "demo", Principal: "payments", Action: DetokenizeCard, View: "FULL"}
	for i := range 2*maxDecided + 10 {
		r.Purpose = fmt.Sprint("purpose", i)
		p.Decide(r)
		if len(p.decided) > maxDecided {
			t.Fatalf("%d after %d", len(p.decided), i)
		}
	}
	if r.Purpose = "settlement"; p.Decide(r) != (Decision{Allowed: true, Policy: "payments-settlement"}) {
		t.Error("forgot how to decide")
	}
}

// TestWhatAnActionHasNotIsNotRemembered keeps such fields from filling the memory
// of decisions with one answer many times.
func TestWhatAnActionHasNotIsNotRemembered(t *testing.T) {
	p, err := Parse("demo.cedar", DemoPolicy())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		p.Decide(Request{Tenant: "demo", Principal: "support", Action: GetCard, Purpose: fmt.Sprint(i), View: fmt.Sprint(i), BINRange: fmt.Sprint(i)})
	}
	p.Decide(Request{Tenant: "", Principal: "support", Action: GetCard})
	p.Decide(Request{Tenant: "demo", Principal: "support", Action: "Steal"})
	if len(p.decided) != 1 {
		t.Errorf("%d decisions remembered, want 1", len(p.decided))
	}
}
