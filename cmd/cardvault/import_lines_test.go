package main

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// A published test number (tokenizer/pan).
const testPAN = "4242424242424242"

func readAll(t *testing.T, text, format, path string) []importLine {
	t.Helper()
	l, err := newLineReader(strings.NewReader(text), format, path)
	if err != nil {
		t.Fatal(err)
	}
	var lines []importLine
	for {
		line, err := l.Read()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
}

func good(number int64, year, month int32) importLine {
	return importLine{number: number, pan: testPAN, expiry: &cardvaultv1.Expiry{Year: year, Month: month}}
}

func refused(number int64, reason string) importLine {
	return importLine{number: number, refused: reason}
}

func compareLines(t *testing.T, got, want []importLine) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(importLine{}), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestReadCSV(t *testing.T) {
	text := strings.Join([]string{
		"\xef\xbb\xbfExpiry , PAN\r",
		"2030-12," + testPAN + "\r",
		"",
		"12/30," + testPAN,
		`"2030-12","` + testPAN + `"`,
		"2030-12",
		"2030-12," + testPAN + ",123",
		`2030-12,"` + testPAN,
		"2030/12," + testPAN,
		"30-12," + testPAN,
		"," + testPAN,
		"2030-12,\xff" + testPAN,
		"2030-12," + strings.Repeat("4", maxImportPAN+1),
		"2030-12," + strings.Repeat("4", 3*maxImportLine),
		"2031-01," + testPAN,
	}, "\n")
	compareLines(t, readAll(t, text, formatCSV, ""), []importLine{
		good(2, 2030, 12), good(4, 2030, 12), good(5, 2030, 12),
		refused(6, lineMalformed), refused(7, lineMalformed), refused(8, lineMalformed),
		refused(9, lineExpiry), refused(10, lineExpiry), refused(11, lineExpiry),
		refused(12, linePAN), refused(13, lineTooLong), refused(14, lineTooLong),
		good(15, 2031, 1),
	})
}

func TestReadJSONLines(t *testing.T) {
	text := strings.Join([]string{
		`{"pan":"` + testPAN + `","expiry":"2030-12"}`,
		` { "expiry" : "12/30", "pan" : "` + testPAN + `" } `,
		`{"pan":"` + testPAN + `"}`,
		`{"pan":` + testPAN + `,"expiry":"2030-12"}`,
		`{"pan":"` + testPAN + `","pan":"` + testPAN + `","expiry":"2030-12"}`,
		`{"pan":"` + testPAN + `","expiry":"2030-12","cvv":"123"}`,
		`{"pan":"` + testPAN + `","expiry":"2030-12","Track-2":"x"}`,
		`{"pan":"` + testPAN + `","expiry":"2030-12","name":"x"}`,
		`{"PAN":"` + testPAN + `","expiry":"2030-12"}`,
		`{"pan":"` + testPAN + `","expiry":"2030-12"} {}`,
		`{"pan":"` + testPAN + `","expiry":"2030-12"`,
		`["` + testPAN + `"]`,
		`{"pan":"` + testPAN + `","expiry":null}`,
		`{"pan":{"pan":"` + testPAN + `"},"expiry":"2030-12"}`,
		`{"pan":"\u0034242424242424242","expiry":"2030-12"}`,
		"nonsense",
	}, "\n")
	compareLines(t, readAll(t, text, formatJSON, ""), []importLine{
		good(1, 2030, 12), good(2, 2030, 12),
		refused(3, lineMalformed), refused(4, lineMalformed), refused(5, lineMalformed),
		refused(6, lineCode), refused(7, lineTrack), refused(8, lineField), refused(9, lineField),
		refused(10, lineMalformed), refused(11, lineMalformed), refused(12, lineMalformed),
		refused(13, lineMalformed), refused(14, lineMalformed),
		good(15, 2030, 12),
		refused(16, lineMalformed),
	})
}

func TestImportFormat(t *testing.T) {
	const csv, object = "pan,expiry\n" + testPAN + ",2030-12", `{"pan":"` + testPAN + `","expiry":"2030-12"}`
	for _, c := range []struct{ text, format, path string }{
		{csv, "", "-"},
		{csv, "", "cards.CSV"},
		{csv, formatCSV, "cards.jsonl"},
		{object, "", "-"},
		{object, "", "cards.ndjson"},
		{object, formatJSON, "cards.csv"},
	} {
		lines := readAll(t, c.text, c.format, c.path)
		if len(lines) != 1 || lines[0].refused != "" || lines[0].pan != testPAN {
			t.Errorf("%q %q: not read", c.format, c.path)
		}
	}
	if _, err := newLineReader(strings.NewReader(csv), "xml", ""); asExit(err).code != exitUsage {
		t.Errorf("an unknown form: %v", err)
	}
}

// A header is refused before anything is sent, and what it says is not repeated:
// in a file without a header it is a card.
func TestCSVHeader(t *testing.T) {
	for header, want := range map[string]string{
		"":                                   "no CSV header",
		"pan":                                "a column is missing",
		"expiry":                             "a column is missing",
		"pan,expiry,pan":                     "column 3 is there twice",
		"pan,expiry,cardholder":              "column 3 is unknown",
		testPAN + ",2030-12":                 "column 1 is unknown",
		"pan,expiry,cvv":                     "column 3 holds what is never taken in",
		"pan,expiry,CVC2":                    "column 3 holds what is never taken in",
		"pan,expiry,cvv_2":                   "column 3 holds what is never taken in",
		"pan,Card Security Code,expiry":      "column 2 holds what is never taken in",
		"pan,expiry,track1":                  "column 3 holds what is never taken in",
		"pan,expiry,Track Data":              "column 3 holds what is never taken in",
		"pan,expiry,pin":                     "column 3 holds what is never taken in",
		"pan,expiry,card verification no":    "column 3 holds what is never taken in",
		`pan,"expiry`:                        "not CSV",
		strings.Repeat("x", maxImportLine+1): "too long",
	} {
		_, err := newLineReader(strings.NewReader(header), formatCSV, "")
		if err == nil || !strings.Contains(err.Error(), want) || asExit(err).code != exitUsage {
			t.Errorf("%.40q: got %v, want %q", header, err, want)
		}
		if err != nil && strings.Contains(asExit(err).line(), testPAN) {
			t.Errorf("%.40q: repeated", header)
		}
	}
}

func TestSkipLines(t *testing.T) {
	l, err := newLineReader(strings.NewReader("pan,expiry\n\n"+testPAN+",2030-12\nx\n"+testPAN+",2031-01\n"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Skip(4); err != nil {
		t.Fatal(err)
	}
	line, err := l.Read()
	if err != nil || line.number != 5 || line.expiry.GetYear() != 2031 {
		t.Errorf("got line %d, %v", line.number, err)
	}
	if err := l.Skip(6); err == nil {
		t.Error("passed over a line that is not there")
	}
}

// checkLines holds for any input: every line is read or refused, never both, line
// numbers grow, and what was read can be sent.
func checkLines(t *testing.T, text []byte, format string) {
	t.Helper()
	l, err := newLineReader(strings.NewReader(string(text)), format, "")
	if err != nil {
		return
	}
	last := int64(0)
	for {
		line, err := l.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if line.number <= last || line.number > int64(strings.Count(string(text), "\n"))+1 {
			t.Fatalf("line %d after %d", line.number, last)
		}
		last = line.number
		if (line.refused == "") == (line.expiry == nil) || line.refused != "" && line.pan != "" {
			t.Fatalf("line %d is half refused", line.number)
		}
		if _, err := proto.Marshal(&cardvaultv1.TokenizeCardRequest{Pan: line.pan, Expiry: line.expiry}); err != nil {
			t.Fatalf("line %d cannot be sent: %v", line.number, err)
		}
	}
}

func FuzzReadCSV(f *testing.F) {
	f.Add([]byte("pan,expiry\n" + testPAN + ",2030-12\n"))
	f.Add([]byte("pan,expiry\n\"" + testPAN + "\",12/30\r\n\n\xff,2030-12\n"))
	f.Add([]byte("expiry,pan\n\"a\nb\",c\n" + strings.Repeat("4", maxImportLine) + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) { checkLines(t, text, formatCSV) })
}

func FuzzReadJSONLines(f *testing.F) {
	f.Add([]byte(`{"pan":"` + testPAN + `","expiry":"2030-12"}` + "\n"))
	f.Add([]byte(`{"pan":"` + testPAN + `","expiry":"12/30","cvv":"1"}` + "\n{}\n[]\n\"\\ud800\""))
	f.Add([]byte("{\"pan\":\"\xff\",\"expiry\":\"2030-12\"}"))
	f.Fuzz(func(t *testing.T, text []byte) { checkLines(t, text, formatJSON) })
}
