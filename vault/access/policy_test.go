package access_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/cardvault/cardvault/vault/access"
)

// permitAll allows whatever can be allowed.
const permitAll = "@id(\"all\")\npermit (principal, action, resource);\n"

func parse(t testing.TB, text string) *access.Policy {
	t.Helper()
	p, err := access.Parse("p.cedar", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParseRefuses(t *testing.T) {
	detokenize := `@id("a") permit (principal, action == Action::"DetokenizeCard", resource) when { `
	for name, tc := range map[string]struct{ text, want string }{
		"word":                 {"\nallow (principal, action, resource);", `p.cedar:2:7: "(": unexpected effect: allow`},
		"unfinished":           {`permit (principal, action, resource)`, `p.cedar:1:37: "": exact got  want ;`},
		"template":             {`@id("a") permit (principal == ?principal, action, resource);`, `p.cedar:1:32: "principal": expected ident`},
		"open string":          {"\n\n\"", "p.cedar:3:1: literal not terminated"},
		"open comment":         {"/*", "p.cedar:1:1: comment not terminated"},
		"escape":               {detokenize + `"\q" == "a" };`, "p.cedar:1:82: invalid char escape"},
		"NUL":                  {"\x00", "p.cedar: invalid character NUL"},
		"no UTF-8":             {"\xff", "p.cedar: invalid UTF-8 encoding"},
		"too long":             {strings.Repeat(" ", access.MaxPolicy+1), "p.cedar: longer than 131072 bytes"},
		"no id":                {"\n\npermit (principal, action, resource);", "p.cedar:3: a policy needs an @id"},
		"empty id":             {`@id("") permit (principal, action, resource);`, "p.cedar:1: a policy needs an @id"},
		"bare id":              {`@id permit (principal, action, resource);`, "p.cedar:1: a policy needs an @id"},
		"id in capitals":       {`@id("A") permit (principal, action, resource);`, "p.cedar:1: @id: want lower-case letters, digits and hyphens, at most 64"},
		"id with a new line":   {`@id("a\n") permit (principal, action, resource);`, "p.cedar:1: @id: want lower-case letters, digits and hyphens, at most 64"},
		"long id":              {`@id("` + strings.Repeat("a", 65) + `") permit (principal, action, resource);`, "p.cedar:1: @id: want lower-case letters, digits and hyphens, at most 64"},
		"id twice":             {permitAll + "\n" + permitAll, `p.cedar:4: @id("all") is used in line 1 too`},
		"two ids":              {`@id("a") @id("b") permit (principal, action, resource);`, `p.cedar:1:13: "(": duplicate annotation: @id`},
		"action in scope":      {`@id("a") permit (principal, action == Action::"Steal", resource);`, "p.cedar:1: unrecognized action `Action::\"Steal\"`"},
		"action in set":        {`@id("a") permit (principal, action in [Action::"GetCard", Action::"Steal"], resource);`, "p.cedar:1: unrecognized action `Action::\"Steal\"`"},
		"action in condition":  {`@id("a") permit (principal, action, resource) when { action == Action::"Steal" };`, "p.cedar:1: unrecognized action `Action::\"Steal\"`"},
		"action of other case": {`@id("a") permit (principal, action == Action::"getcard", resource);`, "p.cedar:1: unrecognized action `Action::\"getcard\"`"},
		"entity type":          {`@id("a") permit (principal == User::"a", action, resource);`, "p.cedar:1: unrecognized entity type `User`"},
		"entity type, is":      {`@id("a") permit (principal is User, action, resource);`, "p.cedar:1: unrecognized entity type `User`"},
		"entity type, resource": {
			`@id("a") permit (principal, action, resource == Card::"a");`, "p.cedar:1: unrecognized entity type `Card`",
		},
		"entity type, condition": {detokenize + `principal == User::"a" };`, "p.cedar:1: unrecognized entity type `User`"},
		"principal attribute":    {detokenize + `principal.nam == "a" };`, "p.cedar:1: attribute `nam` on entity type `Principal` not found"},
		"resource attribute":     {detokenize + `resource.name == "a" };`, "p.cedar:1: attribute `name` on entity type `Tenant` not found"},
		"context attribute":      {detokenize + `context.reason == "a" };`, "p.cedar:1: attribute `reason` in context for Action::\"DetokenizeCard\" not found"},
		"context of another": {
			`@id("a") forbid (principal, action == Action::"GetCard", resource) when { context.purpose == "a" };`,
			"p.cedar:1: attribute `purpose` in context for Action::\"GetCard\" not found",
		},
		"view as a string":  {detokenize + `context.view == "FULL" };`, "p.cedar:1: the types String and View are not compatible"},
		"view":              {detokenize + `context.view == View::"FUL" };`, "p.cedar:1: unrecognized view `View::\"FUL\"`"},
		"view in a set":     {detokenize + `[View::"FUL"].contains(context.view) };`, "p.cedar:1: unrecognized view `View::\"FUL\"`"},
		"no condition":      {detokenize + `"yes" };`, "p.cedar:1: unexpected type: expected Bool but saw String"},
		"principal, shape":  {`@id("a") forbid (principal == Principal::"payments", action, resource);`, "p.cedar:1: `Principal::\"payments\"`: want <tenant>/<name>"},
		"principal, parts":  {`@id("a") forbid (principal == Principal::"a/b/c", action, resource);`, "p.cedar:1: `Principal::\"a/b/c\"`: want <tenant>/<name>"},
		"principal, SPIFFE": {detokenize + `principal == Principal::"spiffe://a/tenant/b/c" };`, "p.cedar:1: `Principal::\"spiffe://a/tenant/b/c\"`: want <tenant>/<name>"},
		"tenant, shape":     {`@id("a") forbid (principal in Tenant::"a/b", action, resource);`, "p.cedar:1: `Tenant::\"a/b\"`: want the name of a tenant"},
		"tenant, case":      {`@id("a") forbid (principal in Tenant::"Acme", action, resource);`, "p.cedar:1: `Tenant::\"Acme\"`: want the name of a tenant"},
		"principal, case":   {`@id("a") forbid (principal == Principal::"acme/Payments", action, resource);`, "p.cedar:1: `Principal::\"acme/Payments\"`: want <tenant>/<name>"},
		"tenant, resource":  {`@id("a") forbid (principal, action, resource == Tenant::"");`, "p.cedar:1: `Tenant::\"\"`: want the name of a tenant"},
		"tenant, is in":     {`@id("a") forbid (principal is Principal in Tenant::"a b", action, resource);`, "p.cedar:1: `Tenant::\"a b\"`: want the name of a tenant"},
		"staff, case":       {`@id("a") forbid (principal == Staff::"Auditor", action, resource);`, "p.cedar:1: `Staff::\"Auditor\"`: want the name of one of the staff"},
		"staff, shape":      {`@id("a") forbid (principal == Staff::"staff/auditor", action, resource);`, "p.cedar:1: `Staff::\"staff/auditor\"`: want the name of one of the staff"},
		"deployment":        {`@id("a") forbid (principal, action, resource == Deployment::"other");`, "p.cedar:1: `Deployment::\"other\"`: want Deployment::\"cardvault\""},
		"staff on cards": {
			`@id("a") permit (principal is Staff, action == Action::"GetCard", resource);`, "p.cedar:1: unable to find an applicable action given the policy scope constraints",
		},
		"tenant in condition": {detokenize + `principal in [Tenant::"ok", Tenant::"*"] };`, "p.cedar:1: `Tenant::\"*\"`: want the name of a tenant"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := access.Parse("p.cedar", []byte(tc.text))
			if err == nil || p != nil {
				t.Fatalf("accepted")
			}
			if lines := strings.Split(err.Error(), "\n"); !slices.Contains(lines, tc.want) {
				t.Errorf("says\n%v\nwant\n%s", err, tc.want)
			}
		})
	}
}

func TestParseSaysEveryMistake(t *testing.T) {
	text := "permit (principal, action, resource);\n" +
		"@id(\"a\")\npermit (principal, action == Action::\"Steal\", resource);\n" +
		"@id(\"a\")\npermit (principal, action == Action::\"DetokenizeCard\", resource)\n" +
		"when { context.view == View::\"full\" };\n"
	want := "p.cedar:1: a policy needs an @id\n" +
		"p.cedar:2: unable to find an applicable action given the policy scope constraints\n" +
		"p.cedar:2: unrecognized action `Action::\"Steal\"`\n" +
		"p.cedar:4: @id(\"a\") is used in line 2 too\n" +
		"p.cedar:4: unrecognized view `View::\"full\"`"
	if _, err := access.Parse("p.cedar", []byte(text)); err == nil || err.Error() != want {
		t.Errorf("says\n%v\nwant\n%s", err, want)
	}
}

func TestParseAccepts(t *testing.T) {
	for _, text := range []string{
		"", " \n\t", "// nothing yet\n",
		permitAll,
		`@id("` + strings.Repeat("a", 64) + `") @description("Anything.") forbid (principal, action, resource);`,
		`@id("a") permit (principal in Tenant::"acme", action, resource == Tenant::"acme");`,
		`@id("a") permit (principal == Principal::"acme/payments", action in [Action::"GetCard"], resource is Tenant);`,
		`@id("a") permit (principal, action, resource) when { context has purpose && context.purpose like "settle*" };`,
		`@id("a") permit (principal, action in [Action::"IssueCard", Action::"GetBinRange"], resource) unless { context.bin_range == "demo" };`,
		`@id("a") permit (principal, action, resource) when { context has view && context.view != View::"FULL" };`,
		`@id("a") permit (principal, action, resource) when { principal.name == "a" && principal.tenant == "b" };`,
		`@id("a") permit (principal is Staff, action == Action::"ReadLog", resource is Deployment) when { principal.name == "a" };`,
		`@id("a") permit (principal, action == Action::"ReadLog", resource);`,
	} {
		if _, err := access.Parse("p.cedar", []byte(text)); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
}

// TestParseOfNothingButNesting is what MaxPolicy is for: a stack overflow ends
// the process, and no recover helps.
func TestParseOfNothingButNesting(t *testing.T) {
	head := `@id("a") permit (principal, action == Action::"GetCard", resource) when { `
	for _, nest := range [][3]string{
		{"(", "true", ")"}, {"!", "true", ""}, {"{a:", "true", "}.a"}, {"true || (", "true", ")"},
	} {
		n := (access.MaxPolicy - len(head) - 10) / (len(nest[0]) + len(nest[2]))
		p := parse(t, head+strings.Repeat(nest[0], n)+nest[1]+strings.Repeat(nest[2], n)+" };")
		p.Decide(access.Request{Tenant: "demo", Principal: "a", Action: access.GetCard})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(access.DemoPolicy())
	f.Add([]byte(permitAll))
	for block := range bytes.SplitSeq(access.DemoPolicy(), []byte("\n\n")) {
		f.Add(block)
	}
	f.Add([]byte(`@id("a") permit (principal is Principal in Tenant::"a", action, resource) when { context has view && [View::"FULL"].contains(context.view) } unless { if principal.name like "a*\*" then 1 + 2 * -3 < 4 else {"a": [1]}["a"].containsAny([2]) };`))
	f.Add([]byte(`@id("a") forbid (principal, action, resource) when { decimal("1.23").lessThan(decimal("2.0")) || ip("10.0.0.0/8").isLoopback() || datetime("2024-01-01") < datetime("2025-01-01").offset(duration("1d")) || principal.hasTag("a") };`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := access.Parse("p.cedar", text)
		if err != nil {
			if p != nil || !strings.HasPrefix(err.Error(), "p.cedar") {
				t.Fatalf("%v, %v", p, err)
			}
			return
		}
		for _, a := range access.Actions() {
			r := access.Request{Tenant: "demo", Principal: "payments", Action: a, Purpose: "settlement", View: "FULL", BINRange: "demo"}
			if d := p.Decide(r); d != p.Decide(r) || d.Allowed && d.Policy == "" {
				t.Fatalf("%s: %v", a, d)
			}
			r.Tenant = ""
			if d := p.Decide(r); d != (access.Decision{}) {
				t.Fatalf("%s without a tenant: %v", a, d)
			}
			r.Staff = true
			if d := p.Decide(r); d.Allowed && !slices.Contains(staffActions(), a) {
				t.Fatalf("%s by staff: %v", a, d)
			}
		}
	})
}
