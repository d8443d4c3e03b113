package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/cardvault/cardvault/crypto/secret"
)

const canary = "canary-7gWq!key~"

// holder keeps secrets in every place from which fmt might dig them out.
type holder struct {
	Exported   secret.Bytes
	unexported secret.Bytes
	pointer    *secret.Bytes
	slice      []secret.Bytes
	array      [1]secret.Bytes
	byName     map[string]secret.Bytes
	boxed      any
	inner      struct{ deep secret.Bytes }
}

type keyFile struct{ Key secret.Bytes }

func newHolder() holder {
	s := secret.New([]byte(canary))
	h := holder{
		Exported: s, unexported: s, pointer: &s, slice: []secret.Bytes{s}, array: [1]secret.Bytes{s},
		byName: map[string]secret.Bytes{"k": s}, boxed: s,
	}
	h.inner.deep = s
	return h
}

// forms lists how a leak of the canary could look: text, hex in both cases, base64, and fmt's lists of numbers.
func forms() []string {
	b := []byte(canary)
	return []string{
		canary, hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)),
		base64.StdEncoding.EncodeToString(b), strings.Trim(fmt.Sprint(b), "[]"),
		strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", b), "[]byte{"), "}"),
		strings.Trim(fmt.Sprintf("%o", b), "[]"), strings.Trim(fmt.Sprintf("%b", b), "[]"), strings.Trim(fmt.Sprintf("%c", b), "[]"),
		strings.Trim(fmt.Sprintf("%U", b), "[]"), fmt.Sprintf("% x", b), fmt.Sprintf("%# x", b),
	}
}

func mustNotLeak(t *testing.T, how, printed string) {
	t.Helper()
	if slices.ContainsFunc(forms(), func(form string) bool { return strings.Contains(printed, form) }) {
		t.Fatalf("%s leaks the secret: %s", how, printed)
	}
}

// everyFormat returns each verb of fmt, and some it does not know, with flags, width and precision.
func everyFormat() []string {
	var formats []string
	for _, flags := range []string{"", "+", "#", "-", " ", "0", "# ", "40", "-40.3", ".2"} {
		for _, verb := range "vTtbcdoOqxXUeEfFgGspwzй" {
			formats = append(formats, "%"+flags+string(verb))
		}
	}
	return formats
}

func TestFormsFindALeak(t *testing.T) {
	leaks := []string{"%v", "%x", "%X", "%s", "%#v", "%o", "%b", "%c", "%U", "% x", "%# x"}
	for _, format := range leaks {
		printed := fmt.Sprintf(format, struct{ b []byte }{[]byte(canary)})
		if !slices.ContainsFunc(forms(), func(form string) bool { return strings.Contains(printed, form) }) {
			t.Errorf("a leak by %s would not be noticed: %s", format, printed)
		}
	}
}

func TestEveryVerbRedacts(t *testing.T) {
	s := secret.New([]byte(canary))
	for _, format := range everyFormat() {
		verb := format[len(format)-1]
		for _, v := range []any{s, &s} {
			printed := fmt.Sprintf(format, v)
			mustNotLeak(t, fmt.Sprintf("%q of %T", format, v), printed)
			// %T and %p are answered by fmt itself; %w is no verb outside Errorf.
			if !strings.ContainsRune("Tpw", rune(verb)) && printed != secret.Redacted {
				t.Errorf("%q of %T prints %s", format, v, printed)
			}
		}
	}
}

func TestEveryVerbRedactsWhatHoldsASecret(t *testing.T) {
	h := newHolder()
	for _, format := range everyFormat() {
		for _, v := range []any{h, &h, []holder{h}, []*holder{&h}, map[string]holder{"h": h}, []any{h}, h.inner, h.slice, h.byName} {
			mustNotLeak(t, fmt.Sprintf("%q of %T", format, v), fmt.Sprintf(format, v))
		}
	}
}

func TestPrintFunctionsRedact(t *testing.T) {
	s, h := secret.New([]byte(canary)), newHolder()
	mustNotLeak(t, "Sprint", fmt.Sprint(s, &s, h, &h))
	mustNotLeak(t, "Sprintln", fmt.Sprintln(s, &s, h, &h))
	mustNotLeak(t, "Errorf", fmt.Errorf("opening %v with %+v: %q", h, s, s).Error())
	for _, printed := range []string{s.String(), s.GoString(), fmt.Sprint(s)} {
		if printed != secret.Redacted {
			t.Errorf("prints %s", printed)
		}
	}
}

func TestSlogRedacts(t *testing.T) {
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		out.Reset()
		s, h := secret.New([]byte(canary)), newHolder()
		slog.New(handler).With("with", s).Info("m", "key", s, "pointer", &s, "holder", h, "holders", &h, slog.Group("g", "deep", s))
		mustNotLeak(t, fmt.Sprintf("%T", handler), out.String())
		if got := strings.Count(out.String(), secret.Redacted); got < 4 {
			t.Errorf("%T shows %d redactions: %s", handler, got, out.String())
		}
	}
}

func TestEncodersRedact(t *testing.T) {
	h := newHolder()
	asJSON, err := json.Marshal(map[string]any{"key": h.Exported, "holder": h, "list": h.slice, "map": h.byName})
	if err != nil {
		t.Fatal(err)
	}
	mustNotLeak(t, "json", string(asJSON))
	if got := strings.Count(string(asJSON), `"`+secret.Redacted+`"`); got != 4 {
		t.Errorf("json has %d redactions, want 4: %s", got, asJSON)
	}
	asXML, err := xml.Marshal(keyFile{h.Exported})
	if err != nil {
		t.Fatal(err)
	}
	if want := "<keyFile><Key>" + secret.Redacted + "</Key></keyFile>"; string(asXML) != want {
		t.Errorf("xml = %s, want %s", asXML, want)
	}
	text, err := h.Exported.MarshalText()
	if err != nil || string(text) != secret.Redacted {
		t.Errorf("MarshalText = %s, %v", text, err)
	}
	var asGob bytes.Buffer
	if err := gob.NewEncoder(&asGob).Encode(keyFile{h.Exported}); err == nil {
		t.Error("gob encodes a secret without an error")
	}
	mustNotLeak(t, "gob", asGob.String())
}
