package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// edits are what a hand with every right can do in the database, and whose tokens it spoils. In each tenant there are
// two cards, each with a standing token and an extra one; was_cards and its like are the tables as they were.
var edits = []struct{ name, sql, spoils string }{
	{"ciphertexts change places", swap("sealed"), "all"},
	{"ciphertexts with their key ids", swap("sealed", "data_key"), "all"},
	{"ciphertexts of tenants", `UPDATE cards c SET sealed =
		(SELECT w.sealed FROM was_cards w WHERE w.tenant <> c.tenant ORDER BY w.id LIMIT 1)`, "all"},
	{"ciphertexts and key ids of tenants", `UPDATE cards c SET (sealed, data_key) =
		(SELECT w.sealed, w.data_key FROM was_cards w WHERE w.tenant <> c.tenant ORDER BY w.id LIMIT 1)`, "all"},
	{"a bit of each ciphertext", `UPDATE cards SET sealed = set_bit(sealed, 77, 1 - get_bit(sealed, 77))`, "all"},
	{"ciphertexts are cut", `UPDATE cards SET sealed = substring(sealed FROM 1 FOR 20)`, "all"},
	{"no ciphertexts", `UPDATE cards SET sealed = NULL`, "all"},
	{"standing tokens change places", `UPDATE cards SET token = NULL; ` + swap("token"), "standing"},
	{"standing tokens with their tags", `UPDATE cards SET token = NULL; ` + swap("token", "token_tag"), "standing"},
	{"tags", `UPDATE cards SET token_tag = token_tag + 1`, "standing"},
	{"new card ids", `UPDATE cards SET id = gen_random_uuid()`, "all"},
	{"card ids change places", `UPDATE cards c SET id = gen_random_uuid(); UPDATE cards c SET id =
		(SELECT w.id FROM was_cards w WHERE w.tenant = c.tenant AND w.fingerprint <> c.fingerprint)`, "all"},
	{"key ids, to another tenant's", `UPDATE cards c SET data_key =
		(SELECT k.id FROM keys k WHERE k.purpose = 'data' AND k.tenant <> c.tenant AND k.tenant > 0)`, "all"},
	{"key ids, to another purpose's", `UPDATE cards c SET data_key =
		(SELECT k.id FROM keys k WHERE k.purpose = 'fingerprint' AND k.tenant = c.tenant)`, "all"},
	{"key ids, to none", `UPDATE cards SET data_key = gen_random_uuid()`, "all"},
	{"wrapped keys of tenants", `UPDATE keys k SET wrapped = (SELECT w.wrapped FROM was_keys w
		WHERE w.purpose = k.purpose AND w.tenant <> k.tenant) WHERE purpose = 'data'`, "all"},
	{"wrapped keys of purposes", `UPDATE keys k SET wrapped = (SELECT w.wrapped FROM was_keys w
		WHERE w.tenant = k.tenant AND w.purpose = 'fingerprint') WHERE purpose = 'data'`, "all"},
	{"keys change tenants", `UPDATE keys SET tenant = -tenant; UPDATE keys SET tenant = 3 + tenant`, "all"},
	{"another kind of KEK", `UPDATE keys SET kek_kind = 'local'`, "all"},
	{"keys destroyed", `UPDATE keys SET state = 'destroyed' WHERE purpose = 'data'`, "all"},
	{"cards change tenants", `UPDATE cards SET tenant = 3 - tenant`, "all"},
	{"cards and keys change tenants", `UPDATE cards SET tenant = 3 - tenant; UPDATE tokens SET tenant = 3 - tenant;
		UPDATE keys SET tenant = -tenant; UPDATE keys SET tenant = 3 + tenant`, "all"},
	{"tenants change names", `UPDATE tenants SET name = name || '-was' WHERE id > 0;
		UPDATE tenants t SET name = (SELECT w.name FROM was_tenants w WHERE w.id = 3 - t.id) WHERE id > 0`, "all"},
	{"extra tokens change cards", `UPDATE tokens t SET card =
		(SELECT c.id FROM cards c WHERE c.tenant = t.tenant AND c.id <> t.card)`, "extra"},
	{"extra tokens never expire", `UPDATE tokens SET expires = 0`, "extra"},
	{"extra tokens are anybody's", `UPDATE tokens SET principals = ''`, "extra"},
	{"extra tokens are used again and again", `UPDATE tokens SET single_use = false`, "extra"},
}

// swap gives each card columns of the other card of its tenant.
func swap(columns ...string) string {
	list := strings.Join(columns, ", ")
	return "UPDATE cards c SET (" + list + ") = ROW(w." + strings.Join(columns, ", w.") + `)
		FROM was_cards w WHERE w.tenant = c.tenant AND w.fingerprint <> c.fingerprint`
}

// TestEditedRowsOpenNothing is P5 on PostgreSQL: whatever changes places, a token opens to its own PAN or to nothing,
// with an alarm; never to another.
func TestEditedRowsOpenNothing(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	kept := keepCards(t, s)
	for _, table := range []string{"cards", "tokens", "keys", "tenants"} {
		s.sql(t, "CREATE TABLE was_"+table+" AS TABLE "+table)
	}
	for _, edit := range edits {
		t.Run(edit.name, func(t *testing.T) {
			if s.sql(t, edit.sql) == 0 {
				t.Fatal("the edit changed nothing")
			}
			r := s.serve(t) // without keys in memory
			refused := 0
			for _, card := range kept {
				refused += card.tryAll(t, r, edit.spoils)
			}
			if refused == 0 || !strings.Contains(r.stderr.String(), `"msg":"alarm"`) {
				t.Errorf("%d answers of INTEGRITY, log:\n%s", refused, r.stderr)
			}
			r.stop(t)
			restore(t, s)
		})
	}
	r := s.serve(t)
	for _, card := range kept {
		if refused := card.tryAll(t, r, "none"); refused != 0 {
			t.Error("put back as they were, rows are refused")
		}
	}
}

// keptCard is a card whose PAN the test knows.
type keptCard struct {
	tenant, pan string
	tokens      map[string]string // by kind
}

// keepCards takes two cards in for each of two tenants.
func keepCards(t *testing.T, s *site) []keptCard {
	t.Helper()
	r := s.serve(t)
	defer r.stop(t)
	var kept []keptCard
	for i, pan := range wellKnown[:4] {
		card := keptCard{tenant: []string{tenant, foreign}[i/2], pan: pan, tokens: map[string]string{}}
		issuer := r.as(t, card.principal("issuer"))
		taken := issuer.tokenize(t, pan, nil)
		extra, err := issuer.tokens.CreateToken(t.Context(), &cardvaultv1.CreateTokenRequest{
			RequestId: uuid.NewString(), CardId: taken.GetCard().GetId(),
			Options: &cardvaultv1.TokenOptions{
				SingleUse: true, Ttl: durationpb.New(time.Hour), Principals: []string{"payments"},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		card.tokens["standing"], card.tokens["extra"] = taken.GetToken(), extra.GetToken().GetToken()
		kept = append(kept, card)
	}
	return kept
}

func (c keptCard) principal(name string) string {
	if c.tenant == foreign {
		return foreign + "-" + name
	}
	return name
}

// tryAll asks for the card's PAN with every token as every tenant, and returns how often it was refused for its
// integrity.
func (c keptCard) tryAll(t *testing.T, r *replica, spoiled string) (refused int) {
	t.Helper()
	for kind, token := range c.tokens {
		for _, asking := range []string{tenant, foreign} {
			pan, err := r.as(t, keptCard{tenant: asking}.principal("payments")).reveal(t.Context(), token)
			got := reason(err)
			switch {
			case pan != "" && pan != c.pan:
				t.Errorf("the %s token of a card opens to another PAN", kind)
			case pan != "" && asking != c.tenant:
				t.Errorf("the %s token of a card opens for another tenant", kind)
			case pan != "" && (spoiled == kind || spoiled == "all"):
				t.Errorf("the %s token of an edited row opens", kind)
			case pan == "" && got != "INTEGRITY" && got != "TOKEN_NOT_FOUND" && got != "TOKEN_USED":
				t.Errorf("the %s token: answer %q: %v", kind, got, err)
			case pan == "" && got == "INTEGRITY":
				refused++
			}
		}
	}
	return refused
}

// restore undoes an edit.
func restore(t *testing.T, s *site) {
	t.Helper()
	s.sql(t, `TRUNCATE cards, tokens, keys; DELETE FROM tenants;
		INSERT INTO cards SELECT * FROM was_cards; INSERT INTO tokens SELECT * FROM was_tokens;
		INSERT INTO keys SELECT * FROM was_keys; INSERT INTO tenants SELECT * FROM was_tenants`)
}

// TestServersRoleCannotRewriteHistory tries as the role that the running server has.
func TestServersRoleCannotRewriteHistory(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	r := s.serve(t)
	r.as(t, "issuer").tokenize(t, wellKnown[0], nil)
	before := s.count(t, "SELECT count(*) FROM audit_entries")
	app := connect(t, s.as("cardvault_app"))
	for _, statement := range []string{
		"UPDATE audit_entries SET body = ''", "UPDATE audit_entries SET time = 0", "TRUNCATE audit_entries",
		"DROP TABLE audit_entries", "ALTER TABLE audit_entries DROP COLUMN body", "DELETE FROM cards",
	} {
		_, err := app.Exec(t.Context(), statement)
		if err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v, want it to be refused", statement, err)
		}
	}
	// Retention may delete what is older than a year; of what is younger nothing goes.
	if tag, err := app.Exec(t.Context(), "DELETE FROM audit_entries"); err != nil || tag.RowsAffected() != 0 {
		t.Errorf("DELETE FROM audit_entries: %s, %v", tag, err)
	}
	if after := s.count(t, "SELECT count(*) FROM audit_entries"); after != before {
		t.Errorf("%d entries after %d", after, before)
	}
	s.chains(t)
}
