package access_test

import (
	"slices"
	"testing"

	"github.com/cardvault/cardvault/vault/access"
)

// demoPermits says which policy lets whom do what. Detokenizing depends on more.
func demoPermits() map[string]map[access.Action]string {
	return map[string]map[access.Action]string{
		"issuer": {
			access.IssueCard: "issuer-cards", access.TokenizeCard: "issuer-cards", access.GetCard: "issuer-cards", access.ListCards: "issuer-cards",
			access.SuspendCard: "issuer-cards", access.ResumeCard: "issuer-cards", access.CloseCard: "issuer-cards", access.RenewCard: "issuer-cards",
			access.DeleteCard:  "issuer-cards",
			access.CreateToken: "issuer-tokens", access.ListTokens: "issuer-tokens", access.RevokeToken: "issuer-tokens",
		},
		"payments": {},
		"support":  {access.GetCard: "support-cards"},
		"security": {
			access.CreateBinRange: "security-bin-ranges", access.GetBinRange: "security-bin-ranges", access.ListBinRanges: "security-bin-ranges",
			access.PauseBinRange: "security-bin-ranges", access.ResumeBinRange: "security-bin-ranges",
		},
		"auditor": {
			access.ListEntries: "auditor-entries", access.GetCheckpoint: "auditor-entries", access.GetEntry: "auditor-entries",
			access.GetInclusionProof: "auditor-entries", access.GetConsistencyProof: "auditor-entries",
		},
		"stranger": {},
	}
}

func demoDetokenize(r access.Request) access.Decision {
	type ask struct{ principal, purpose, view string }
	switch (ask{r.Principal, r.Purpose, r.View}) {
	case ask{"payments", "settlement", "FULL"}:
		return access.Decision{Allowed: true, Policy: "payments-settlement"}
	case ask{"support", "support", "LAST_FOUR"}:
		return access.Decision{Allowed: true, Policy: "support-last-four"}
	}
	if r.View == "FULL" && r.Purpose != "settlement" && r.Purpose != "" {
		return access.Decision{Policy: "full-pan-for-settlement-only"}
	}
	return access.Decision{}
}

// TestDemoPolicy asks for every principal, action, purpose and view.
func TestDemoPolicy(t *testing.T) {
	p := parse(t, string(access.DemoPolicy()))
	for principal, permits := range demoPermits() {
		for _, action := range access.Actions() {
			for _, purpose := range []string{"", "settlement", "support", "marketing"} {
				for _, view := range []string{"", "LAST_FOUR", "MASKED", "FULL", "full"} {
					for _, tenant := range []string{"demo", "acme"} {
						r := access.Request{Tenant: tenant, Principal: principal, Action: action, Purpose: purpose, View: view, BINRange: "demo"}
						want := access.Decision{Allowed: permits[action] != "", Policy: permits[action]}
						if action == access.DetokenizeCard {
							want = demoDetokenize(r)
						}
						if got := p.Decide(r); got != want {
							t.Errorf("%+v\ngot %+v, want %+v", r, got, want)
						}
					}
				}
			}
		}
	}
}

// TestDemoPolicyOfStaff: its auditor reads the log, its security team the list of
// keys, and nobody else of them anything.
func TestDemoPolicyOfStaff(t *testing.T) {
	p := parse(t, string(access.DemoPolicy()))
	for _, name := range []string{"issuer", "payments", "support", "security", "auditor", "stranger"} {
		for _, action := range access.Actions() {
			r := access.Request{Staff: true, Principal: name, Action: action, Purpose: "settlement", View: "FULL", BINRange: "demo"}
			var want access.Decision
			switch {
			case name == "security" && action == access.ListKeys:
				want = access.Decision{Allowed: true, Policy: "staff-security-keys"}
			case name == "auditor" && action != access.ListKeys && slices.Contains(staffActions(), action):
				want = access.Decision{Allowed: true, Policy: "staff-auditor-log"}
			}
			if got := p.Decide(r); got != want {
				t.Errorf("%+v\ngot %+v, want %+v", r, got, want)
			}
		}
	}
}

func TestDemoPolicyIsACopy(t *testing.T) {
	clear(access.DemoPolicy())
	if _, err := access.Parse("demo.cedar", access.DemoPolicy()); err != nil {
		t.Error(err)
	}
}
