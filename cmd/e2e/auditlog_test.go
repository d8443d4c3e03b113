package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// publishKey writes the log's public key to a file, as the security team hands it out, and returns its path.
func (s *site) publishKey(t testing.TB) string {
	t.Helper()
	return s.write(t, "log.pub", s.run(t, "audit", "key", "--config", s.config(t)).must(t, exitOK).stdout)
}

func receiptOf(r *cardvaultv1.Receipt) string {
	return fmt.Sprintf("%s/%d", r.GetReplica(), r.GetNumber())
}

// TestLogIsProvenToOutsiders has three replicas at work, of which some die, and an auditor who believes none of them.
func TestLogIsProvenToOutsiders(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	key := s.publishKey(t)
	f := newFleet(t, s, 3)
	f.replicas[0].as(t, "security").createRange(t, "debit", "90000000")
	var receipts []string
	work := func() {
		for i := range f.replicas {
			card := f.issuer(i).issue(t)
			f.payments(i+1).mustReveal(t, card.GetToken())
			receipts = append(receipts, receiptOf(card.GetReceipt()))
		}
	}
	work()
	f.crash(t)
	work()
	r := f.replicas[0]

	for _, receipt := range receipts {
		s.cli(t, r, "auditor", "audit", "prove", receipt, "--log-key", "@"+key).must(t, exitOK)
	}
	s.cli(t, r, "auditor", "audit", "prove", receipts[0], "--log-key", "@"+key, "--out", s.path("first.tlog-proof")).must(t, exitOK)
	s.run(t, "audit", "check-proof", s.path("first.tlog-proof"), "--log-key", "@"+key).must(t, exitOK)
	s.cli(t, r, foreign+"-auditor", "audit", "prove", receipts[0], "--log-key", "@"+key).must(t, exitNotFound).says(t, "ENTRY_NOT_FOUND")
	s.cli(t, r, "auditor", "audit", "export", "--dir", s.path("mine"), "--log-key", "@"+key).must(t, exitDenied)

	since := s.write(t, "since.checkpoint", s.cli(t, r, "auditor", "audit", "checkpoint", "--log-key", "@"+key).must(t, exitOK).stdout)
	s.export(t, r, key).must(t, exitOK)
	f.crash(t)
	work()
	f.crash(t)
	work()
	r = f.replicas[1]
	s.cli(t, r, "auditor", "audit", "prove", receipts[len(receipts)-1], "--log-key", "@"+key, "--since", since).must(t, exitOK)
	for _, r := range f.replicas {
		r.stop(t)
	}

	// Whatever the dead left behind is in the log once there is a replica again.
	r = s.serve(t)
	entries := s.count(t, "SELECT count(*) FROM audit_entries")
	last := r.as(t, "issuer").issue(t)
	s.cli(t, r, "auditor", "audit", "prove", receiptOf(last.GetReceipt()), "--log-key", "@"+key).must(t, exitOK)
	s.export(t, r, key).must(t, exitOK)
	verified := s.run(t, "audit", "verify", s.path("log"), "--key", "@"+key, "--since", since, "--output", "json").must(t, exitOK)
	var size int64
	if _, err := fmt.Sscan(verified.field(t, "size"), &size); err != nil || size <= entries {
		t.Errorf("%d entries are exported, %d were there before (%v)", size, entries, err)
	}
	if text, err := exec.CommandContext(t.Context(), fsck(t), "-key", key, s.path("log")).CombinedOutput(); err != nil {
		t.Errorf("another implementation refuses the folder: %v\n%s", err, text)
	}
	found := s.run(t, "audit", "search", "--dir", s.path("log"), "--action", "DetokenizeCard", "--limit", "1000").must(t, exitOK)
	if n := strings.Count(found.stdout, "payments-settlement"); n != len(receipts) {
		t.Errorf("%d disclosures are found, want %d", n, len(receipts))
	}
	s.run(t, "audit", "report", "--dir", s.path("log"), "--html", s.path("report.html")).must(t, exitOK)
	s.run(t, "audit", "verify", s.path("log"), "--key", "@"+s.otherKey(t, key)).must(t, 10)
}

// export continues the folder "log".
func (s *site) export(t testing.TB, r *replica, key string) answer {
	t.Helper()
	return s.cli(t, r, "staff-auditor", "audit", "export", "--dir", s.path("log"), "--log-key", "@"+key)
}

// otherKey makes another log's key of the same name, and returns its file.
func (s *site) otherKey(t testing.TB, key string) string {
	t.Helper()
	origin, _, _ := strings.Cut(s.read(t, filepath.Base(key)), "+")
	_, vkey, err := note.GenerateKey(nil, origin)
	if err != nil {
		t.Fatal(err)
	}
	return s.write(t, "other.pub", vkey)
}

// logTables is everything that the audit log is made of.
var logTables = []string{"audit_entries", "audit_chains", "log_chains", "log_head", "log_runs", "log_tiles"}

// TestEditedLogIsFoundOut edits the log with every right in the database.
func TestEditedLogIsFoundOut(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]string{
		"a body":       `UPDATE audit_entries SET body = set_byte(body, 150, get_byte(body, 150) # 1) WHERE number = 2`,
		"an entry":     `DELETE FROM audit_entries WHERE number = 2`,
		"a leaf":       `UPDATE log_tiles SET hashes = set_byte(hashes, 70, get_byte(hashes, 70) # 1) WHERE level = 0`,
		"two entries":  `UPDATE audit_entries SET number = 5 - number - 1000 WHERE number IN (2, 3); UPDATE audit_entries SET number = number + 1000 WHERE number < 0`,
		"a checkpoint": `UPDATE log_head SET checkpoint = set_byte(checkpoint, 40, get_byte(checkpoint, 40) # 1)`,
		"the end":      `UPDATE log_head SET size = size - 1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newMigratedSite(t)
			key := s.publishKey(t)
			r := s.serve(t)
			card := r.as(t, "issuer").tokenize(t, wellKnown[0], nil)
			s.cli(t, r, "auditor", "audit", "prove", receiptOf(card.GetReceipt()), "--log-key", "@"+key).must(t, exitOK)
			if s.sql(t, edit) == 0 {
				t.Fatal("the edit changed nothing")
			}
			if strings.Contains(edit, "log_head") { // which every replica watches
				r.awaitLog(t, `"alarm":"audit log halted"`, 1)
			}
			if a := s.export(t, r, key); a.code == exitOK {
				t.Error("the edited log is exported")
			}
			r.awaitLog(t, `"alarm":`, 1)
		})
	}
}

// TestRolledBackLogIsRefused brings back yesterday's database: while replicas run, and once more when none does.
func TestRolledBackLogIsRefused(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	witness := s.startWitness(t, s.publishKey(t))
	r := s.serve(t, witness)
	issuer := r.as(t, "issuer")
	prove := func(card *cardvaultv1.TokenizeCardResponse) {
		t.Helper()
		a := s.cli(t, r, "auditor", "audit", "prove", receiptOf(card.GetReceipt()), "--log-key", "@"+s.path("log.pub"), "--output", "json")
		a.must(t, exitOK)
	}
	prove(issuer.tokenize(t, wellKnown[0], nil))
	for _, table := range logTables {
		s.sql(t, "CREATE TABLE was_"+table+" AS TABLE "+table)
	}
	prove(issuer.tokenize(t, wellKnown[1], nil))
	restore := strings.Builder{}
	// The head first, as the sequencer does.
	restore.WriteString("LOCK TABLE log_head, audit_entries, audit_chains, log_chains, log_runs, log_tiles IN ACCESS EXCLUSIVE MODE;")
	for _, table := range logTables {
		fmt.Fprintf(&restore, "DELETE FROM %s; INSERT INTO %[1]s SELECT * FROM was_%[1]s;", table)
	}
	s.sql(t, restore.String())

	// The replica remembers.
	r.awaitLog(t, `"alarm":"audit log halted"`, 1)
	_, err := issuer.cards.TokenizeCard(t.Context(), &cardvaultv1.TokenizeCardRequest{RequestId: uuid.NewString(), Pan: wellKnown[2], Expiry: inTwoYears()})
	want(t, "tokenize", err, "AUDIT_LOG_BROKEN")
	r.kill(t)

	// Another does not, but the witness does.
	r = s.launch(t, s.config(t, witness)).halted(t)
	_, err = r.as(t, "issuer").cards.TokenizeCard(t.Context(), &cardvaultv1.TokenizeCardRequest{RequestId: uuid.NewString(), Pan: wellKnown[2], Expiry: inTwoYears()})
	want(t, "tokenize", err, "AUDIT_LOG_BROKEN")
	r.kill(t)

	// Whoever means it goes on under another name, as the README says.
	restored := restoredAs(trustDomain+"/audit/2", trustDomain+"/audit")
	r = s.serve(t, restored)
	card := r.as(t, "issuer").tokenize(t, wellKnown[2], nil)
	key := s.write(t, "second.pub", s.run(t, "audit", "key", "--config", s.config(t, restored)).must(t, exitOK).stdout)
	s.cli(t, r, "auditor", "audit", "prove", receiptOf(card.GetReceipt()), "--log-key", "@"+key).must(t, exitOK)
	s.export(t, r, key).must(t, exitOK)
	s.run(t, "audit", "verify", s.path("log"), "--key", "@"+key).must(t, exitOK)
}

// startWitness runs another team's witness and returns the setting that has it asked.
func (s *site) startWitness(t testing.TB, key string) setting {
	t.Helper()
	w := start(t, program(t, programs.cardvault(t), "audit", "witness", "--name", "witness.example/one", "--listen", "127.0.0.1:0",
		"--key", s.path("witness.key"), "--state", s.path("witness.state"), "--log", "@"+key))
	w.await(t, w.stdout, "quorum", 1)
	return witnessedBy(s.write(t, "witness.policy", w.stdout.String()))
}
