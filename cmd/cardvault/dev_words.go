package main

import (
	"cmp"
	"fmt"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/devca"
)

func (s *story) greet() {
	state := "new"
	if s.folder.reopened {
		state = "with the cards of before"
	}
	s.line("cardvault dev: NOT FOR PRODUCTION. Its keys lie in files beside the cards.")
	s.line("")
	s.line("folder   %s (%s)", s.folder.dir, state)
	s.line("serving  %s, gRPC over mutual TLS 1.3; log in %s", s.addr, s.folder.path(devLog))
}

func (s *story) title(text string) {
	s.step++
	s.line("")
	s.line("%d. %s", s.step, text)
}

func (s *story) asks(format string, args ...any) { s.line("   asks   "+format, args...) }
func (s *story) gets(format string, args ...any) { s.line("   gets   "+format, args...) }
func (s *story) shows(what string)               { s.line("   shows  %s", what) }

func (s *story) line(format string, args ...any) {
	_, _ = fmt.Fprintf(s.out, format+"\n", args...)
}

// invite says how to go on.
func (s *story) invite() {
	dir := ""
	if s.folder.dir != defaultDevDir {
		dir = " --dev-dir " + quote(s.folder.dir)
	}
	cli := func(as, format string, args ...any) {
		s.line("  "+program()+" "+format+" --as "+as+dir, args...)
	}
	token := cmp.Or(remembered(s.folder.dir, devToken), "TOKEN")
	s.line("")
	s.line("It keeps serving until Ctrl-C. Its own client:")
	s.line("")
	cli("issuer", "card issue --bin %s", demoRange)
	cli("issuer", "card tokenize --expiry 12/%02d", (s.begin.Year()+2)%100)
	cli("payments", "detokenize %s --purpose settlement --view full", token)
	cli("support", "detokenize %s --purpose support --view last-four", token)
	cli("security", "bin list")
	cli("auditor", "audit list --since 1h")
	cli("auditor", "audit prove %s", place(s.settled))
	cli("staff-auditor", "audit export --dir audit-log")
	cli("staff-security", "key list --rows")
	s.line("  %s audit verify audit-log --key @%s", program(), quote(s.folder.path(devVerifier)))
	s.line("")
	s.line("Any other gRPC client, such as grpcurl from the repository's root:")
	s.line("")
	s.grpcurl("issuer", "CardService/IssueCard", `{"requestId": "`+uuid.NewString()+`", "binRange": "`+demoRange+`"}`)
	s.grpcurl("payments", "CardService/DetokenizeCard", `{"token": "`+token+`", "purpose": "settlement", "view": "VIEW_FULL"}`)
	s.line("")
	s.line("Edit %s and it is in force within %s.", s.folder.path(devPolicy), policyInterval)
}

func (s *story) grpcurl(as, method, body string) {
	s.line("  grpcurl -cacert %s -cert %s -key %s -import-path proto -proto cardvault/v1/cards.proto \\",
		quote(s.folder.path(devca.CertFile)), quote(s.folder.path(as+".pem")), quote(s.folder.path(as+".key")))
	s.line("    -d '%s' %s cardvault.v1.%s", body, s.addr, method)
}
