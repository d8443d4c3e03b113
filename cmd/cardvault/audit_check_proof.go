package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/vault/audit"
)

func auditCheckProof() *cobra.Command {
	var (
		trust  logTrust
		output string
	)
	cmd := &cobra.Command{
		Use:   "check-proof FILE",
		Short: "Verify a proof that was kept, without a server",
		Long: `Verify a file that cardvault audit prove kept with --out: that the entry in it stands in
the log whose public key is given. It asks no server and needs no secret.`,
		Example: "  cardvault audit check-proof 1024.tlog-proof --log-key @log.pub",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			out, err := newPrinter(cmd.OutOrStdout(), output)
			if err != nil {
				return err
			}
			keys, err := trust.required(nil)
			if err != nil {
				return err
			}
			content, err := os.ReadFile(filepath.Clean(args[0]))
			if err != nil {
				return usage("name a file that cardvault audit prove kept", "proof: %w", err)
			}
			p, err := openProof(content, keys)
			if err != nil {
				return err
			}
			return p.print(out)
		},
	}
	trust.registerKey(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", outputTable, "table or json")
	return cmd
}

// provenEntry is an entry that a verified proof is of.
type provenEntry struct {
	proof      audit.Proof
	body       []byte
	entry      audit.Entry
	checkpoint audit.Checkpoint
}

// proveEntry verifies a proof of a body, and reads what the body says.
func proveEntry(text, body []byte, keys []note.Verifier) (provenEntry, error) {
	p := provenEntry{body: body}
	var err error
	if p.proof, err = audit.ParseProof(text); err != nil {
		return provenEntry{}, notVerified("the proof: %w", err)
	}
	if p.checkpoint, err = p.proof.Verify(body, keys...); err != nil {
		return provenEntry{}, notVerified("the proof: %w", err)
	}
	if p.entry, err = audit.Parse(body); err != nil {
		return provenEntry{}, notVerified("the entry: %w", err)
	}
	return p, nil
}

// file is the proof as one file: a tlog-proof with the entry's body as its extra
// data. The format calls extra data unauthenticated; here the proof is of it.
func (p provenEntry) file() []byte {
	whole := proof.TLogProof{
		Index:      uint64(p.proof.Index), //nolint:gosec // it was verified
		Checkpoint: p.proof.Checkpoint, ExtraData: p.body,
	}
	for _, h := range p.proof.Hashes {
		whole.Hashes = append(whole.Hashes, h)
	}
	return whole.Marshal()
}

// openProof verifies what file returned.
func openProof(content []byte, keys []note.Verifier) (provenEntry, error) {
	var whole proof.TLogProof
	if err := whole.Unmarshal(content); err != nil || len(whole.ExtraData) == 0 {
		return provenEntry{}, usage("name a file that cardvault audit prove kept", "no tlog-proof with an entry in it")
	}
	return proveEntry(content, whole.ExtraData, keys)
}

// provenAnswer is what is proven, as JSON.
type provenAnswer struct {
	Index  int64           `json:"index"`
	Origin string          `json:"origin"`
	Size   int64           `json:"size"`
	Root   string          `json:"root"`
	Entry  json.RawMessage `json:"entry"`
}

func (p provenEntry) print(out printer) error {
	if out.json {
		text, err := json.Marshal(provenAnswer{p.proof.Index, p.checkpoint.Origin, p.checkpoint.Size, p.checkpoint.Root.String(), p.body})
		if err != nil {
			return failed("", "encode the answer: %w", err)
		}
		return out.lines(string(text))
	}
	e := p.entry
	card := ""
	if e.Card != [16]byte{} {
		card = e.Card.String()
	}
	return out.table(
		table.Row{"PROVEN", "LOG", "SIZE", "TIME", "PRINCIPAL", "ACTION", "DECISION", "PURPOSE", "VIEW", "CARD", "RESULT"},
		table.Row{
			p.proof.Index, p.checkpoint.Origin, p.checkpoint.Size, e.Time.Format(time.RFC3339), e.Principal,
			e.Action, e.Decision, e.Purpose, e.View, card, e.Result,
		})
}
