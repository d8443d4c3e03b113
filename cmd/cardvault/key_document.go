package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/review"
)

// keyDocument writes the list of keys as the document that PCI DSS 4.0.1,
// requirement 3.6.1.1 asks service providers for: algorithms, protocols and keys
// with their strength and expiry, what each key is for, that production and test
// share none, and the devices that keep keys.
func keyDocument(inventory *cardvaultv1.ListKeysResponse, made time.Time) string {
	var d document
	d.line("# Cryptographic keys of cardvault")
	d.line("")
	d.line("The description of the cryptographic architecture for PCI DSS 4.0.1, requirement 3.6.1.1, as far as the vault knows it.")
	d.line("Made %s by `cardvault key list --document`. The audit log has that the list was read: entry %s.",
		made.Format(time.RFC3339), markdown(place(inventory.GetReceipt())))
	d.line("Lines with ______ are the operator's to fill in.")
	d.algorithms()
	d.custodians(inventory)
	d.expiry()
	d.environments()
	d.systems(inventory)
	for _, part := range keyParts(inventory) {
		d.section("%s", part.title)
		d.table(part.header, part.rows...)
	}
	return d.String()
}

// document is Markdown in the making.
type document struct{ strings.Builder }

func (d *document) line(format string, args ...any) { _, _ = fmt.Fprintf(d, format+"\n", args...) }

func (d *document) section(format string, args ...any) {
	d.line("")
	d.line("## "+format, args...)
	d.line("")
}

func (d *document) table(header table.Row, rows ...table.Row) {
	d.row(header)
	d.line("|%s", strings.Repeat("---|", len(header)))
	for _, row := range rows {
		d.row(row)
	}
}

func (d *document) row(cells table.Row) {
	for _, cell := range cells {
		_, _ = fmt.Fprintf(d, "| %s ", markdown(fmt.Sprint(cell)))
	}
	d.line("|")
}

// markdown writes text as a cell of a table that says nothing else than the text.
func markdown(text string) string {
	return strings.NewReplacer(
		`\`, `\\`, "|", `\|`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", "&", "&amp;", "~", `\~`,
	).Replace(review.Shown(text))
}

func (d *document) algorithms() {
	d.section("Algorithms, strength and use")
	d.table(table.Row{"KEY", "ALGORITHM", "LENGTH", "STANDARD", "USED FOR"},
		table.Row{"data", "AES-256-GCM", "256 bits", "NIST SP 800-38D", "seals PANs, each bound to its tenant, card and key"},
		table.Row{"fingerprint", "HMAC-SHA-256", "256 bits", "FIPS 198-1, FIPS 180-4", "recognises a PAN by a keyed hash of it, of which 128 bits are kept; binds tokens and BIN ranges to what they were made as"},
		table.Row{"range", "FF1-AES-256; below 10^6 numbers a shuffle by AES-256-CTR", "256 bits", "NIST SP 800-38G, SP 800-38A", "orders the numbers that are issued from a BIN range; seals nothing"},
		table.Row{"key-encryption key", "AES-256-GCM", "256 bits", "NIST SP 800-38D", "wraps the keys above, each bound to its purpose, tenant, BIN range and id"},
		table.Row{"audit log", "Ed25519", "256 bits (strength 128)", "RFC 8032", "signs the checkpoints of the audit log; protects no account data"},
	)
	d.line("")
	d.line("Callers reach the vault by gRPC over mutual TLS 1.3 alone. Keys travel between the vault and transit over TLS. To the database")
	d.line("goes account data that is sealed, over the connection that the operator configured: ______")
}

func (d *document) custodians(inventory *cardvaultv1.ListKeysResponse) {
	d.section("Custodians")
	d.line("No person is handed a key. The vault draws each from the operating system's random source and keeps it wrapped; in clear it")
	d.line("is in the memory of the vault's replicas alone.")
	d.line("")
	var rows []table.Row
	for _, kind := range kekKinds(inventory) {
		rows = append(rows, table.Row{kind, custodianOf(kind), "______"})
	}
	rows = append(rows, table.Row{"audit log's signing key", "the same; audit.key of the server's configuration", "______"})
	d.table(table.Row{"KEY", "CUSTODIAN", "PEOPLE WHO ADMINISTER IT"}, rows...)
}

// kekKinds returns the kinds of KEK that wrap a key, each once.
func kekKinds(inventory *cardvaultv1.ListKeysResponse) []string {
	var kinds []string
	for _, version := range inventory.GetKekVersions() {
		if len(kinds) == 0 || kinds[len(kinds)-1] != version.GetKind() {
			kinds = append(kinds, version.GetKind())
		}
	}
	return kinds
}

func custodianOf(kind string) string {
	switch kind {
	case "transit":
		return "HashiCorp Vault / OpenBao transit key, transit.mount and transit.key of the server's configuration. It never leaves transit: the server refuses one that is exportable, deletable or can be backed up in plaintext"
	case "local":
		return "a file on the server's machine, NOT FOR PRODUCTION"
	default:
		return "unknown: the vault opens no key of this kind"
	}
}

func (d *document) expiry() {
	d.section("Expiry")
	d.line("A data key seals until its cryptoperiod ends or 2^30 records were sealed under it, whichever is first (NIST SP 800-38D, 8.3 allows")
	d.line("2^32). At nine tenths of either its successor takes over by itself. At the end it seals no more, successor or not. It goes on to")
	d.line("open what it sealed. Uses are counted ahead in blocks, so the number here is never below the truth.")
	d.line("")
	d.line("Fingerprint keys, range keys and the key-encryption key have no cryptoperiod in the vault yet. Defined by the operator: ______")
}

func (d *document) environments() {
	d.section("Production and test")
	d.line("Every deployment makes its own keys, and its key-encryption key opens no other's. A production server refuses keys that were wrapped")
	d.line("by the key file of a developer's vault. That no test deployment uses this one's transit key is for the operator to confirm: ______")
}

func (d *document) systems(inventory *cardvaultv1.ListKeysResponse) {
	d.section("Key management systems")
	var rows []table.Row
	for _, kind := range kekKinds(inventory) {
		rows = append(rows, table.Row{kind, "______", "______", "______"})
	}
	d.table(table.Row{"KIND OF KEY-ENCRYPTION KEY", "PRODUCT AND VERSION, HSM BEHIND IT", "LOCATION", "OWNER"}, rows...)
}
