package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

const (
	// provePatience is how long an entry may take to come into a checkpoint. It
	// takes less than a second where the sequencer is well.
	provePatience = 10 * time.Second
	// proveInterval is how often prove asks again meanwhile.
	proveInterval = 200 * time.Millisecond
)

func auditProve(c *connection) *cobra.Command {
	var (
		trust logTrust
		file  string
	)
	cmd := &cobra.Command{
		Use:   "prove RECEIPT|INDEX",
		Short: "Prove that an entry is in the audit log, and keep the proof",
		Long: `Fetch an audit entry and the proof that the log has it, verify both here with the log's
public key, and say what is proven. With --out the proof is kept with the entry in one
file, a C2SP tlog-proof, that anybody can verify later without a server: see
cardvault audit check-proof.`,
		Example: `  cardvault audit prove 0198c5d2-6d0e-4c39-9a57-52a1f6d7c1aa/17 --log-key @log.pub --as auditor
  cardvault audit prove 1024 --log-key @log.pub --since yesterday.checkpoint --out 1024.tlog-proof --as auditor`,
		Args: cobra.ExactArgs(1),
	}
	cmd.RunE = c.runLong(func(ctx context.Context, s *session, args []string) error {
		at, err := parseEntryPlace(args[0])
		if err != nil {
			return err
		}
		keys, err := trust.required(c)
		if err != nil {
			return err
		}
		answer, err := s.awaitProof(ctx, at, func() {
			_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "No checkpoint covers the entry yet; waiting for one.")
		})
		if err != nil {
			return err
		}
		p, err := proveAnswer(answer, at, keys)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, s.timeout)
		defer cancel()
		if err := trust.verifySince(ctx, s, p.checkpoint, keys); err != nil {
			return err
		}
		if file != "" {
			if err := os.WriteFile(file, p.file(), 0o600); err != nil {
				return failed("give a file that can be written with --out", "keep the proof: %w", err)
			}
		}
		return p.print(s.out)
	})
	trust.register(cmd)
	cmd.Flags().StringVar(&file, "out", "", "file to keep the proof and the entry in, such as 17.tlog-proof")
	return cmd
}

// awaitProof asks for a proof until a checkpoint covers the entry, for as long as
// that can take. waiting is told once.
func (s *session) awaitProof(ctx context.Context, at entryPlace, waiting func()) (*cardvaultv1.GetInclusionProofResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, max(s.timeout, provePatience))
	defer cancel()
	end := time.Now().Add(provePatience)
	for told := false; ; told = true {
		answer, err := s.inclusionProof(ctx, at)
		if !isPending(err) || time.Now().After(end) {
			return answer, err
		}
		if !told {
			waiting()
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(proveInterval):
		}
	}
}

func (s *session) inclusionProof(ctx context.Context, at entryPlace) (*cardvaultv1.GetInclusionProofResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	request := &cardvaultv1.GetInclusionProofRequest{Place: &cardvaultv1.GetInclusionProofRequest_Index{Index: at.index}}
	if at.receipt != nil {
		request.Place = &cardvaultv1.GetInclusionProofRequest_Receipt{Receipt: at.receipt}
	}
	return s.audit().GetInclusionProof(ctx, request)
}

// isPending reports whether the entry is on its way into the log.
func isPending(err error) bool {
	if err == nil {
		return false
	}
	reason := asExit(err).reason
	return reason == "ENTRY_PENDING" || reason == "NO_CHECKPOINT"
}

// proveAnswer verifies that the answer proves the entry that was asked for.
func proveAnswer(answer *cardvaultv1.GetInclusionProofResponse, at entryPlace, keys []note.Verifier) (provenEntry, error) {
	body := answer.GetEntry().GetBody()
	if len(body) == 0 {
		return provenEntry{}, &exitError{
			code: exitNotFound, reason: "ENTRY_DROPPED", next: nextSteps["ENTRY_DROPPED"],
			err: fmt.Errorf("the retention policy dropped entry %d; there is a proof, but not of what", answer.GetIndex()),
		}
	}
	p, err := proveEntry(answer.GetProof(), body, keys)
	if err != nil {
		return provenEntry{}, err
	}
	if at.receipt != nil && (p.entry.Replica.String() != at.receipt.GetReplica() || p.entry.Number != at.receipt.GetNumber()) ||
		at.receipt == nil && p.proof.Index != at.index {
		return provenEntry{}, notVerified("the server's proof is of another entry")
	}
	return p, nil
}
