package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
)

// importFlags are what `card import` is told.
type importFlags struct {
	format, state, report, tokens string
}

func cardImport(c *connection) *cobra.Command {
	var flags importFlags
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Take in the PANs of a file, CSV or JSON Lines",
		Long: `Take in the PANs of a file, or of standard input where FILE is "-".

CSV begins with the line pan,expiry. JSON Lines has one object a line, with the keys
pan and expiry. An expiry is YYYY-MM or MM/YY. Any other column or key is refused:
verification codes, PINs and track data must not be kept.

What has been taken in is remembered beside the input, in FILE.import-state: after
an interruption of any kind the same command goes on where it stopped, and nothing
is lost, taken in twice or counted twice. Standard input is remembered with --state
alone; give the same input again to go on.

The report counts the lines that were accepted, that held a PAN of before
(duplicate), and that were refused. A refused line is named by its number and the
reason, never by what stands in it. With refused lines the exit code is 6.`,
		Example: `  cardvault card import cards.csv --report report.json --as issuer
  gpg --decrypt cards.jsonl.gpg | cardvault card import - --state cards.state --tokens tokens.csv --as issuer`,
		Args: cobra.ExactArgs(1),
	}
	cmd.RunE = c.runLong(func(ctx context.Context, s *session, args []string) error {
		return flags.run(ctx, s, args[0], cmd.InOrStdin(), cmd.ErrOrStderr())
	})
	cmd.Flags().StringVar(&flags.format, "format", "", "csv or jsonl (default: by the file's extension or first byte)")
	cmd.Flags().StringVar(&flags.state, "state", "", "file that remembers how far the import has come (default FILE.import-state)")
	cmd.Flags().StringVar(&flags.report, "report", "", "file for the whole report, as JSON")
	cmd.Flags().StringVar(&flags.tokens, "tokens", "", "file for line, card id and token, as CSV")
	return cmd
}

// run imports one input.
func (flags importFlags) run(ctx context.Context, s *session, path string, stdin io.Reader, terminal io.Writer) (err error) {
	in, head, err := openInput(path, stdin)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	if flags.state == "" && path != "-" {
		flags.state = path + ".import-state"
	}
	head.Tokens = flags.tokens != ""
	total, err := countLines(in, head, terminal)
	if err != nil {
		return err
	}
	lines, err := newLineReader(in, flags.format, path)
	if err != nil {
		return err
	}
	state, err := openImportState(flags.state, head)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	tokens, err := openTokenFile(flags.tokens, state)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tokens.Close()) }()

	bar := newImportBar(terminal, total, state.Through)
	send := sender{cards: s.cards(), requestID: state.requestID, timeout: s.timeout, pause: pause}
	im := importing{lines: lines, send: send.send, state: state, tokens: tokens, progress: bar.at}
	err = im.run(ctx)
	bar.stop(err)
	if err != nil {
		return flags.interrupted(ctx, err, state)
	}
	return flags.finish(s.out, state)
}

// openInput opens a file, or takes standard input.
func openInput(path string, stdin io.Reader) (io.ReadCloser, importHead, error) {
	if path == "-" {
		return io.NopCloser(stdin), importHead{}, nil
	}
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, importHead{}, usage("name a file that can be read, or - for standard input", "input: %w", err)
	}
	head, err := inputHead(f)
	if err != nil {
		return nil, importHead{}, errors.Join(err, f.Close())
	}
	return f, head, nil
}

// interrupted says how to go on.
func (flags importFlags) interrupted(ctx context.Context, err error, state *importState) error {
	told := *asExit(err)
	if told.code == exitUsage {
		told.code = exitFailed // the input could be read and the server be called
	}
	if ctx.Err() != nil {
		told = exitError{code: exitFailed, reason: "INTERRUPTED", err: errors.New("interrupted")}
	}
	if flags.state != "" && told.next == "" {
		told.next = "run the same command again to go on"
	}
	told.err = fmt.Errorf("import stopped after line %d: %w", state.Through, told.err)
	return &told
}

// importReport is the whole report as JSON.
type importReport struct {
	Accepted     int64         `json:"accepted"`
	Duplicate    int64         `json:"duplicate"`
	Refused      int64         `json:"refused"`
	RefusedLines []refusedLine `json:"refusedLines"`
}

// finish reports, and only then forgets.
func (flags importFlags) finish(out printer, state *importState) error {
	r := importReport{
		Accepted: state.Accepted, Duplicate: state.Duplicate,
		Refused: int64(len(state.Refused)), RefusedLines: append([]refusedLine{}, state.Refused...),
	}
	text, err := json.Marshal(r)
	if err != nil {
		return failed("", "report: %w", err)
	}
	text = append(text, '\n')
	if flags.report != "" {
		if err := os.WriteFile(filepath.Clean(flags.report), text, 0o600); err != nil {
			return failed("run the same command again with another --report", "report: %w", err)
		}
	}
	if out.json {
		_, err = out.w.Write(text)
	} else {
		err = r.print(out)
	}
	if err = errors.Join(err, state.Finish()); err != nil {
		return failed("", "%w", err)
	}
	if r.Refused > 0 {
		return &exitError{
			code: exitSomeRefused, reason: "LINES_REFUSED", next: "correct those lines and import them in a file of their own",
			err: fmt.Errorf("refused %d of %d lines", r.Refused, r.Accepted+r.Duplicate+r.Refused),
		}
	}
	return nil
}

// shownLines is how many refused lines a person is shown.
const shownLines = 20

func (r importReport) print(out printer) error {
	if err := out.table(table.Row{"ACCEPTED", "DUPLICATE", "REFUSED"}, table.Row{r.Accepted, r.Duplicate, r.Refused}); err != nil {
		return err
	}
	if r.Refused == 0 {
		return nil
	}
	var rows []table.Row
	for _, line := range r.RefusedLines[:min(shownLines, len(r.RefusedLines))] {
		rows = append(rows, table.Row{line.Line, line.Reason})
	}
	if err := errors.Join(out.lines(""), out.table(table.Row{"REFUSED LINE", "REASON"}, rows...)); err != nil {
		return err
	}
	if len(r.RefusedLines) > shownLines {
		return out.lines(fmt.Sprintf("… and %d more: see them all with --report FILE", len(r.RefusedLines)-shownLines))
	}
	return nil
}
