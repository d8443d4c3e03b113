package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

const (
	outputTable = "table"
	outputJSON  = "json"
)

// printer writes answers: a table for people, or the answer itself in protobuf's
// JSON form, one document a line, for machines.
type printer struct {
	w    io.Writer
	json bool
}

func newPrinter(w io.Writer, output string) (printer, error) {
	switch output {
	case outputTable, outputJSON:
		return printer{w: w, json: output == outputJSON}, nil
	default:
		return printer{}, usage("give --output table or --output json", "--output: unknown form")
	}
}

// show prints one answer.
func (p printer) show(answer proto.Message, header table.Row, rows ...table.Row) error {
	if p.json {
		return p.document(answer)
	}
	return p.table(header, rows...)
}

// document prints a message as one line of JSON, unset fields included, so that a
// reader finds the same keys every time.
func (p printer) document(m proto.Message) error {
	text, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	// protojson varies its white space from build to build on purpose.
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	line.WriteByte('\n')
	_, err = p.w.Write(line.Bytes())
	return err
}

// table prints rows under a header.
func (p printer) table(header table.Row, rows ...table.Row) error {
	t := table.NewWriter()
	style := table.StyleLight
	style.Options = table.Options{}
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	t.SetStyle(style)
	t.AppendHeader(header)
	t.AppendRows(rows)
	return p.lines(strings.Split(t.Render(), "\n")...)
}

// lines prints text for people, without blanks at the ends of lines.
func (p printer) lines(lines ...string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(p.w, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

// more tells people how to get the next page.
func (p printer) more(pageToken string) error {
	if p.json || pageToken == "" {
		return nil
	}
	return p.lines("", "There is more: --page-token "+pageToken)
}

// word turns an enum's name, STATE_ACTIVE, into what a person reads: active.
func word(enum fmt.Stringer, prefix string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(enum.String(), prefix), "_", "-"))
}

// month prints an expiry as YYYY-MM.
func month(e *cardvaultv1.Expiry) string {
	if e == nil {
		return ""
	}
	return fmt.Sprintf("%04d-%02d", e.GetYear(), e.GetMonth())
}

// instant prints a time as RFC 3339 in UTC, to the second.
func instant(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().UTC().Format(time.RFC3339)
}

// place prints where the audit entry of an answer stands.
func place(r *cardvaultv1.Receipt) string {
	if r == nil {
		return ""
	}
	return r.GetReplica() + "/" + strconv.FormatInt(r.GetNumber(), 10)
}
