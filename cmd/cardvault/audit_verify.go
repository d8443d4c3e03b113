package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	policy "github.com/transparency-dev/formats/witness"

	"github.com/cardvault/cardvault/vault/archive"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/witness"
)

// What audit verify ends with where it found something.
const (
	exitLogSignature exitCode = 10 + iota
	exitLogTree
	exitLogEntry
	exitLogCardData
	exitLogInconsistent
	exitLogWitness
)

func auditVerify() *cobra.Command {
	f := &verifyFlags{}
	cmd := &cobra.Command{
		Use:   "verify FOLDER",
		Short: "Verify an exported audit log, without a server",
		Long: `Verify a folder that cardvault audit export wrote, with nothing but the log's public key: no
server is asked, and no secret is needed. It checks

  - that the log signed the checkpoint, and with --policy that enough witnesses did
  - that entries, tiles and checkpoint are one Merkle tree, and nothing is missing
    but what the log itself says was dropped by the retention policy
  - that each replica's entries follow each other, from its first on
  - that the time does not go back by more than --max-skew
  - that no entry holds a card number
  - with --since that the log still begins with all that it had at an earlier
    checkpoint, which you have kept yourself: what somebody cut off the end of the
    log, with the log's own key, shows in nothing else

Keep the checkpoint of each folder that you have verified for the next --since.

Exit codes, the lowest of them where there is more than one kind of finding:

  0   nothing is wrong
  10  SIGNATURE: the checkpoint is not one that the log signed
  11  TREE, BUNDLE, MISSING, EXTRA: the files are not the log that was signed
  12  ENTRY, CHAIN, TIME: entries were edited, left out or put elsewhere
  13  CARD_DATA: an entry holds what looks like a card number
  14  INCONSISTENT: the log was rolled back, or forked, since the checkpoint of --since
  15  WITNESS: the checkpoint has not the cosignatures that --policy wants`,
		Example: `  cardvault audit verify audit-log --key @log.pub
  cardvault audit verify audit-log --key @log.pub --since last-month.checkpoint --output json`,
		Args: cobra.ExactArgs(1),
		RunE: f.run,
	}
	f.trust.registerKey(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.trust.key, "key", "", "the same as --log-key")
	cmd.MarkFlagsMutuallyExclusive("key", "log-key")
	flags.StringVar(&f.trust.since, "since", "", "file of an earlier checkpoint of the log")
	flags.StringVar(&f.policy, "policy", "", "file of the witness policy that the log's server has (C2SP tlog-policy)")
	flags.DurationVar(&f.maxSkew, "max-skew", archive.DefaultMaxSkew, "how much older than one before it an entry may be")
	flags.StringVarP(&f.output, "output", "o", outputTable, "table or json")
	return cmd
}

type verifyFlags struct {
	trust   logTrust
	policy  string
	maxSkew time.Duration
	output  string
}

func (f *verifyFlags) run(cmd *cobra.Command, args []string) error {
	out, err := newPrinter(cmd.OutOrStdout(), f.output)
	if err != nil {
		return err
	}
	o, err := f.options()
	if err != nil {
		return err
	}
	if info, err := os.Stat(args[0]); err != nil || !info.IsDir() {
		return usage("name a folder that cardvault audit export wrote", "%s: no such folder", args[0])
	}
	began := time.Now()
	r, err := archive.Verify(cmd.Context(), os.DirFS(args[0]), o)
	if errors.Is(err, archive.ErrChanged) {
		return failed("verify it again, or a copy of it: an export goes on in it", "%s: %w", args[0], err)
	}
	if err != nil {
		return failed("", "%s: %w", args[0], err)
	}
	if err := printVerified(out, verified{Report: r, Seconds: time.Since(began).Seconds()}); err != nil {
		return err
	}
	return verifyVerdict(r)
}

// options reads the files that flags name.
func (f *verifyFlags) options() (o archive.Options, err error) {
	if f.maxSkew <= 0 {
		return o, usage("give --max-skew as 15m", "--max-skew: not more than nothing")
	}
	o.MaxSkew = f.maxSkew
	if o.Keys, err = f.trust.required(nil); err != nil {
		return o, err
	}
	if f.trust.since != "" {
		const next = "give a file with a checkpoint of this log, as cardvault audit checkpoint prints it"
		if o.Since, err = os.ReadFile(filepath.Clean(f.trust.since)); err != nil {
			return o, usage(next, "--since: %w", err)
		}
		if _, err := audit.OpenCheckpoint(o.Since, o.Keys...); err != nil {
			return o, usage(next, "--since: %w", err)
		}
	}
	if f.policy != "" {
		o.Witnesses, err = readWitnesses(f.policy)
	}
	return o, err
}

// readWitnesses reads a witness policy.
func readWitnesses(path string) (archive.Witnesses, error) {
	const next = "give the file with the witness policy that the log's server has"
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil, usage(next, "--policy: %w", err)
	}
	// This one is strict about what counts twice, the other one counts.
	if _, err := witness.ParsePolicy(text); err != nil {
		return nil, usage(next, "--policy: %w", err)
	}
	group, err := policy.ParsePolicy(text)
	if err != nil {
		return nil, usage(next, "--policy: %w", err)
	}
	return group, nil
}

// verifyVerdict turns findings into the command's end.
func verifyVerdict(r *archive.Report) error {
	total := int64(0)
	for _, n := range r.Counts {
		total += n
	}
	for _, kind := range verifyKinds() {
		if r.Has(kind.classes...) {
			return &exitError{
				code: kind.code, reason: kind.reason, next: kind.next,
				err: errors.New(kind.what + findingsMore(r, total, kind.classes)),
			}
		}
	}
	return nil
}

// findingsMore says how many findings there are of other kinds.
func findingsMore(r *archive.Report, total int64, told []archive.Class) string {
	for _, class := range told {
		total -= r.Counts[class]
	}
	if total == 0 {
		return ""
	}
	return fmt.Sprintf(", and there are %d findings of other kinds", total)
}

// verifyKind is what findings of some classes come to.
type verifyKind struct {
	code               exitCode
	classes            []archive.Class
	reason, what, next string
}

// verifyKinds are in order of code: what makes all else worthless comes first.
func verifyKinds() []verifyKind {
	return []verifyKind{
		{
			exitLogSignature,
			[]archive.Class{archive.ClassSignature},
			"LOG_NOT_SIGNED", "the log did not sign this checkpoint",
			"check that the key is this log's; if it is, the folder was made or edited by somebody else",
		},
		{
			exitLogTree,
			[]archive.Class{archive.ClassTree, archive.ClassBundle, archive.ClassMissing, archive.ClassExtra},
			"LOG_TREE_BROKEN", "the files are not the log that was signed",
			"keep the folder as evidence, and export the log to another; after an export that was cut short, run it again",
		},
		{
			exitLogEntry,
			[]archive.Class{archive.ClassEntry, archive.ClassChain, archive.ClassTime},
			"LOG_ENTRIES_WRONG", "entries were edited, left out or put elsewhere",
			"keep the folder as evidence; where the log signed it so, its own server or key is at fault",
		},
		{
			exitLogCardData,
			[]archive.Class{archive.ClassCardData},
			"CARD_DATA", "an entry holds what looks like a card number",
			"treat the log as card data, and find out how it came there",
		},
		{
			exitLogInconsistent,
			[]archive.Class{archive.ClassInconsistent},
			"LOG_INCONSISTENT", "the log was rolled back or forked since the earlier checkpoint",
			"keep both checkpoints: they prove it, since the log signed both",
		},
		{
			exitLogWitness,
			[]archive.Class{archive.ClassWitness},
			"LOG_NOT_WITNESSED", "not enough witnesses cosigned the checkpoint",
			"export again; if it lasts, ask the witnesses which log they saw",
		},
	}
}
