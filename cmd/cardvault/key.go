package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

func keyCommand() *cobra.Command {
	c := &connection{}
	cmd := &cobra.Command{Use: "key", Short: "See which keys the vault has; for staff"}
	c.register(cmd)
	cmd.AddCommand(keyList(c))
	return cmd
}

func keyList(c *connection) *cobra.Command {
	var (
		rows     bool
		document string
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show every key version of every tenant: algorithm, state, age, what is left of it",
		Long: `Show every key version of every tenant, the versions of the key-encryption key that wrap
them, and the audit log's public keys. No key is shown, wrapped or not.

--rows counts the rows that cannot do without each key: the cards sealed under a data key,
the cards of a fingerprint key's tenant, deleted ones included, the BIN ranges of a range
key. It reads all cards; the server gives up after 20 seconds a page of 1000 keys.

--document writes the inventory of PCI DSS 4.0.1, requirement 3.6.1.1, as Markdown, with
blanks for what the vault cannot know.`,
		Example: `  cardvault key list --as staff-security
  cardvault key list --rows --as staff-security --output json
  cardvault key list --rows --document keys.md --as staff-security`,
		Args: cobra.NoArgs,
		RunE: c.runLong(func(ctx context.Context, s *session, _ []string) error {
			inventory, err := s.inventory(ctx, rows)
			if err != nil {
				return err
			}
			if document != "" {
				text := keyDocument(inventory, time.Now().UTC())
				err := writeWhole("--document", document, func(w io.Writer) error {
					_, err := io.WriteString(w, text)
					return err
				})
				if err != nil {
					return err
				}
			}
			return printKeys(s.out, inventory)
		}),
	}
	flags := cmd.Flags()
	flags.BoolVar(&rows, "rows", false, "count the rows that depend on each key: reads all cards")
	flags.StringVar(&document, "document", "", "write the list to this file too, as a document in Markdown")
	return cmd
}

// inventory reads all pages of the list of keys as one answer, in an order for
// people. Its receipt is that of the first page.
func (s *session) inventory(ctx context.Context, rows bool) (*cardvaultv1.ListKeysResponse, error) {
	all, token := &cardvaultv1.ListKeysResponse{}, ""
	for {
		page, err := s.keyPage(ctx, &cardvaultv1.ListKeysRequest{PageSize: 1000, PageToken: token, CountRows: rows})
		if err != nil {
			return nil, err
		}
		if token == "" {
			all.Receipt, all.KekVersions, all.AuditLogKeys = page.GetReceipt(), page.GetKekVersions(), page.GetAuditLogKeys()
		}
		all.Keys = append(all.Keys, page.GetKeys()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	slices.SortFunc(all.GetKeys(), func(a, b *cardvaultv1.KeyVersion) int {
		return cmp.Or(
			cmp.Compare(a.GetTenant(), b.GetTenant()), cmp.Compare(a.GetPurpose(), b.GetPurpose()), cmp.Compare(a.GetBinRange(), b.GetBinRange()),
			a.GetCreateTime().AsTime().Compare(b.GetCreateTime().AsTime()), cmp.Compare(a.GetId(), b.GetId()))
	})
	slices.SortFunc(all.GetKekVersions(), func(a, b *cardvaultv1.KekVersion) int {
		return cmp.Or(cmp.Compare(a.GetKind(), b.GetKind()), compareVersions(a.GetVersion(), b.GetVersion()))
	})
	return all, nil
}

func (s *session) keyPage(ctx context.Context, r *cardvaultv1.ListKeysRequest) (*cardvaultv1.ListKeysResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.keys().ListKeys(ctx, r)
}

// compareVersions orders 9 before 10.
func compareVersions(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

func printKeys(out printer, inventory *cardvaultv1.ListKeysResponse) error {
	if out.json {
		return out.document(inventory)
	}
	for i, part := range keyParts(inventory) {
		if i > 0 {
			if err := out.lines(""); err != nil {
				return err
			}
		}
		rows := make([]table.Row, len(part.rows))
		for i, row := range part.rows {
			rows[i] = shownRow(slices.Clone(row))
		}
		if err := out.table(part.header, rows...); err != nil {
			return err
		}
	}
	return nil
}

// keyParts are the tables of the list: keys, the KEK's versions, the log's keys.
func keyParts(inventory *cardvaultv1.ListKeysResponse) []reportPart {
	keys := reportPart{title: "Keys", header: table.Row{
		"TENANT", "PURPOSE", "BIN RANGE", "ALGORITHM", "STATE", "KEK", "CREATED", "AGE", "CRYPTOPERIOD LEFT", "USES", "USES LEFT", "KEY",
	}}
	for _, k := range inventory.GetKeys() {
		keys.rows = append(keys.rows, keyRow(k))
	}
	if slices.ContainsFunc(inventory.GetKeys(), func(k *cardvaultv1.KeyVersion) bool { return k.Rows != nil }) {
		keys.header = append(keys.header, "ROWS")
		for i, k := range inventory.GetKeys() {
			keys.rows[i] = append(keys.rows[i], strconv.FormatInt(k.GetRows(), 10))
		}
	}
	kek := reportPart{title: "Versions of the key-encryption key", header: table.Row{"KEK", "VERSION", "KEYS IT WRAPS", "STATE"}}
	for i, version := range inventory.GetKekVersions() {
		state := "newest that wraps a key"
		if next := i + 1; next < len(inventory.GetKekVersions()) && inventory.GetKekVersions()[next].GetKind() == version.GetKind() {
			state = "superseded"
		}
		kek.rows = append(kek.rows, table.Row{version.GetKind(), version.GetVersion(), strconv.FormatInt(version.GetKeys(), 10), state})
	}
	log := reportPart{title: "Keys of the audit log", header: table.Row{"AUDIT LOG KEY (Ed25519, public)"}}
	for _, key := range inventory.GetAuditLogKeys() {
		log.rows = append(log.rows, table.Row{key})
	}
	if len(log.rows) == 0 {
		log.rows = append(log.rows, table.Row{"not known: the signer does not answer"})
	}
	return []reportPart{keys, kek, log}
}

func keyRow(k *cardvaultv1.KeyVersion) table.Row {
	left, uses, usesLeft := "none yet", "not counted", "no limit yet"
	if k.ExpireTime != nil {
		left, usesLeft = "seals no more", "seals no more"
	}
	if k.CryptoperiodLeft != nil {
		left = age(k.GetCryptoperiodLeft())
	}
	if k.Uses != nil {
		uses = strconv.FormatInt(k.GetUses(), 10)
	}
	if k.UsesLeft != nil {
		usesLeft = strconv.FormatInt(k.GetUsesLeft(), 10)
	}
	return table.Row{
		k.GetTenant(), word(k.GetPurpose(), "PURPOSE_"), k.GetBinRange(), k.GetAlgorithm(), word(k.GetState(), "STATE_"),
		strings.TrimSpace(k.GetKekKind() + " " + k.GetKekVersion()), instant(k.GetCreateTime()), age(k.GetAge()), left, uses, usesLeft, k.GetId(),
	}
}

// age writes a time in whole days, or in hours where it has less than two days.
func age(d *durationpb.Duration) string {
	switch hours := int64(d.AsDuration() / time.Hour); {
	case d.AsDuration() < 0:
		return "over"
	case hours < 48:
		return fmt.Sprintf("%d h", hours)
	default:
		return fmt.Sprintf("%d d", hours/24)
	}
}
