package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// importLine is one card of the input.
type importLine struct {
	// number counts the lines of the input from 1, header and blank lines too.
	number int64
	pan    string
	expiry *cardvaultv1.Expiry
	// refused is why the line cannot be sent; empty: it can.
	refused string
}

// Why a line is refused before it is sent. Every other reason is the server's.
const (
	lineTooLong   = "LINE_TOO_LONG"
	lineMalformed = "LINE_MALFORMED"
	lineField     = "UNKNOWN_FIELD"
	lineExpiry    = "EXPIRY_INVALID"
	linePAN       = "PAN_DIGIT"
	lineCode      = "CARD_VERIFICATION_CODE"
	lineTrack     = "TRACK_DATA"
)

const (
	// maxImportLine bytes are far more than a card needs.
	maxImportLine = 4096
	// maxImportPAN bytes are sent on, so that the server can say what is wrong with
	// them. They keep a batch far below its largest message.
	maxImportPAN = 128
)

// cardParser reads one line; refused is empty where it could.
type cardParser func(text []byte) (number string, expiry *cardvaultv1.Expiry, refused string)

// lineReader reads cards line by line. A line is the unit on purpose: a damaged
// one spoils no other, and its number is all that a report says of it.
type lineReader struct {
	r      *bufio.Reader
	parse  cardParser
	number int64
}

// importFormats are the forms of input.
const (
	formatCSV  = "csv"
	formatJSON = "jsonl"
)

// newLineReader finds out the form, by name or else by file extension or first
// byte, and reads a CSV header.
func newLineReader(in io.Reader, format, path string) (*lineReader, error) {
	l := &lineReader{r: bufio.NewReaderSize(in, maxImportLine)}
	if start, _ := l.r.Peek(3); bytes.Equal(start, []byte("\xef\xbb\xbf")) {
		_, _ = l.r.Discard(3) // the byte order mark that spreadsheets write
	}
	if format == "" {
		format = l.guess(path)
	}
	switch format {
	case formatJSON:
		l.parse = parseJSONLine
		return l, nil
	case formatCSV:
		return l, l.header()
	default:
		return nil, usage("give --format csv or --format jsonl", "--format: unknown")
	}
}

func (l *lineReader) guess(path string) string {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv":
		return formatCSV
	case ".jsonl", ".ndjson":
		return formatJSON
	}
	if start, _ := l.r.Peek(1); string(start) == "{" {
		return formatJSON
	}
	return formatCSV
}

// header reads the first line of CSV.
func (l *lineReader) header() error {
	text, err := l.next()
	switch {
	case errors.Is(err, io.EOF):
		return usage("begin the input with the line pan,expiry", "line 1: no CSV header")
	case errors.Is(err, errLineTooLong):
		return usage("begin the input with the line pan,expiry", "line 1: too long for a CSV header")
	case err != nil:
		return failed("", "read the input: %w", err)
	}
	l.parse, err = newCSVParser(string(text))
	return err
}

// Read returns the next card, or io.EOF after the last.
func (l *lineReader) Read() (importLine, error) {
	for {
		text, err := l.next()
		line := importLine{number: l.number}
		switch {
		case errors.Is(err, errLineTooLong):
			line.refused = lineTooLong
			return line, nil
		case errors.Is(err, io.EOF):
			return importLine{}, io.EOF
		case err != nil:
			return importLine{}, fmt.Errorf("read the input: %w", err)
		case len(bytes.TrimSpace(text)) == 0:
			continue
		}
		line.pan, line.expiry, line.refused = l.parse(text)
		if line.refused != "" {
			line.pan = ""
		}
		return line, nil
	}
}

// Skip passes over the lines up to and including the one of this number.
func (l *lineReader) Skip(through int64) error {
	for l.number < through {
		if _, err := l.next(); err != nil && !errors.Is(err, errLineTooLong) {
			return failed("check that it is the same input as before", "the input is shorter than what was imported of it")
		}
	}
	return nil
}

var errLineTooLong = errors.New("line too long")

// next returns the text of the next line without its end, good until the next
// call. Of a line that is too long it reads all and returns nothing.
func (l *lineReader) next() ([]byte, error) {
	text, err := l.r.ReadSlice('\n')
	if len(text) == 0 && err != nil {
		return nil, err
	}
	l.number++
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = l.r.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, errLineTooLong
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r")), nil
}
