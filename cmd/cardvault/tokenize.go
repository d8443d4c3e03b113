package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

func cardTokenize(c *connection) *cobra.Command {
	var (
		w       write
		options tokenFlags
		expires string
	)
	cmd := &cobra.Command{
		Use:   "tokenize",
		Short: "Take in a PAN that comes from elsewhere, and get its token",
		Long: `Take in a PAN that comes from elsewhere, and get its token. The same PAN gives the
same card and, without options, the same token.

The PAN is asked for without echo, or read as one line from standard input where
that is no terminal. It is never an argument: every process of the machine can
read a command line, and shells keep them. For many PANs see card import.`,
		Example: `  cardvault card tokenize --expiry 2030-12 --as issuer
  head -n 1 pan.txt | cardvault card tokenize --expiry 12/30 --as issuer --output json`,
		Args: cobra.NoArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		expiry, err := parseExpiry(expires)
		if err != nil {
			return err
		}
		wanted, err := options.message()
		if err != nil {
			return err
		}
		// Before the clock of the call starts: a person may take a while.
		number, err := readPAN(cmd.InOrStdin(), cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		return c.run(func(ctx context.Context, s *session, _ []string) error {
			answer, err := s.cards().TokenizeCard(ctx, &cardvaultv1.TokenizeCardRequest{
				RequestId: w.id(), Pan: number, Expiry: expiry, Token: wanted,
			})
			if err != nil {
				return w.hint(err)
			}
			header, row := newCardHeader(), newCardRow(answer.GetToken(), answer.GetCard())
			return s.out.show(answer, append(header, "SEEN BEFORE"), append(row, yes(answer.GetExisting())))
		})(cmd, args)
	}
	w.register(cmd)
	options.register(cmd)
	cmd.Flags().StringVar(&expires, "expiry", "", "YYYY-MM or MM/YY")
	return cmd
}

// maxPANLine bounds what is read of a line: far more than a PAN has digits.
const maxPANLine = 256

// errPANLine is returned by readPAN if standard input is not one line.
var errPANLine = errors.New("standard input: want one line with a PAN")

// readPAN asks for a PAN without echo where in is a terminal, and reads its one
// line where it is not.
func readPAN(in io.Reader, prompt io.Writer) (string, error) {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		_, _ = fmt.Fprint(prompt, "PAN (not shown): ")
		line, err := term.ReadPassword(int(f.Fd()))
		_, _ = fmt.Fprintln(prompt)
		if err != nil {
			return "", failed("", "read the PAN: %w", err)
		}
		return string(bytes.TrimSpace(line)), nil
	}
	text, err := io.ReadAll(io.LimitReader(in, maxPANLine+1))
	if err != nil {
		return "", failed("", "read the PAN from standard input: %w", err)
	}
	line := bytes.TrimRight(text, "\r\n")
	if len(text) > maxPANLine || len(line) == 0 || bytes.ContainsAny(line, "\r\n") {
		return "", usage("for many PANs use cardvault card import", "%w", errPANLine)
	}
	return string(line), nil
}

// yes prints a flag.
func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
