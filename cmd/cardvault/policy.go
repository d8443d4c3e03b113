package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/cardvault/cardvault/vault/access"
)

func policyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Check an access policy"}
	cmd.AddCommand(policyCheck())
	return cmd
}

// question is a request that a policy is asked about.
type question struct {
	principal, action, purpose, view, binRange string
}

func policyCheck() *cobra.Command {
	var (
		q      question
		output string
	)
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a policy file, and ask it who may do what",
		Long: `Check a policy file against Cedar's grammar and cardvault's schema, without a server.
With --as-principal, ask it one question too: the exit code is 0 where the policy
allows it and 3 where it does not.

Actions: ` + strings.Join(actionNames(), ", ") + ".",
		Example: `  cardvault policy check policy.cedar
  cardvault policy check policy.cedar --as-principal demo/payments --action DetokenizeCard --purpose settlement --view full
  cardvault policy check policy.cedar --as-principal /staff/auditor --action ReadLog`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			out, err := newPrinter(cmd.OutOrStdout(), output)
			if err != nil {
				return err
			}
			policy, err := readPolicy(args[0])
			if err != nil {
				return err
			}
			if q == (question{}) {
				return q.print(out, policyAnswer{Valid: true})
			}
			return q.ask(out, policy)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&q.principal, "as-principal", "", "who asks, TENANT/NAME, or /staff/NAME")
	flags.StringVar(&q.action, "action", "", "what it asks to do")
	flags.StringVar(&q.purpose, "purpose", "", "for which purpose, with DetokenizeCard")
	flags.StringVar(&q.view, "view", "", "with which view, with DetokenizeCard: last-four, masked or full")
	flags.StringVar(&q.binRange, "bin", "", "id of a BIN range, with actions on one")
	flags.StringVarP(&output, "output", "o", outputTable, "table or json")
	cmd.MarkFlagsRequiredTogether("as-principal", "action")
	return cmd
}

// readPolicy reads and checks a policy file.
func readPolicy(path string) (*access.Policy, error) {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil, usage("name a policy file that can be read", "policy: %w", err)
	}
	policy, err := access.Parse(filepath.Base(path), text)
	if err != nil {
		return nil, &exitError{code: exitUsage, reason: "POLICY_INVALID", next: "correct the file, and try it with cardvault policy check", err: err}
	}
	return policy, nil
}

// policyAnswer is what a policy says, as JSON.
type policyAnswer struct {
	Valid    bool   `json:"valid"`
	Decision string `json:"decision,omitempty"`
	Policy   string `json:"policy,omitempty"`
}

func (q question) ask(out printer, policy *access.Policy) error {
	// No tenant's name is empty, so the two forms never meet.
	name, staff := strings.CutPrefix(q.principal, "/staff/")
	tenant, ok := "", staff
	if !staff {
		tenant, name, ok = strings.Cut(q.principal, "/")
	}
	if !ok {
		return usage("give --as-principal TENANT/NAME or /staff/NAME", "--as-principal: not a principal")
	}
	if !slices.Contains(access.Actions(), access.Action(q.action)) {
		return usage("see cardvault policy check --help", "--action: unknown")
	}
	if _, err := parseView(q.view); err != nil {
		return err
	}
	d := policy.Decide(access.Request{
		Tenant: tenant, Staff: staff, Principal: name, Action: access.Action(q.action),
		Purpose: q.purpose, View: strings.ToUpper(strings.ReplaceAll(q.view, "-", "_")), BINRange: q.binRange,
	})
	answer := policyAnswer{Valid: true, Decision: "deny", Policy: d.Policy}
	if d.Allowed {
		answer.Decision = "allow"
	}
	if err := q.print(out, answer); err != nil || d.Allowed {
		return err
	}
	why := "no policy permits it"
	if d.Policy != "" {
		why = fmt.Sprintf("the policy %q forbids it", d.Policy)
	}
	return &exitError{code: exitDenied, reason: "PERMISSION_DENIED", err: errors.New(why)}
}

func (q question) print(out printer, answer policyAnswer) error {
	if out.json {
		text, err := json.Marshal(answer)
		if err != nil {
			return failed("", "encode the answer: %w", err)
		}
		return out.lines(string(text))
	}
	if answer.Decision == "" {
		return out.lines("The policy is valid.")
	}
	return out.table(table.Row{"PRINCIPAL", "ACTION", "DECISION", "POLICY"},
		table.Row{q.principal, q.action, answer.Decision, answer.Policy})
}

func actionNames() []string {
	var names []string
	for _, a := range access.Actions() {
		names = append(names, string(a))
	}
	return names
}
