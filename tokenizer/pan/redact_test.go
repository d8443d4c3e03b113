package pan_test

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
	"github.com/cardvault/cardvault/tokenizer/pan"
)

const canary = "4929174630158825"

type holder struct {
	Exported   pan.PAN
	unexported pan.PAN
	pointer    *pan.PAN
	slice      []pan.PAN
	byName     map[string]pan.PAN
	boxed      any
	inner      struct{ deep pan.PAN }
}

type cardFile struct{ Number pan.PAN }

func newHolder(t *testing.T) holder {
	t.Helper()
	p := mustParse(t, canary)
	h := holder{Exported: p, unexported: p, pointer: &p, slice: []pan.PAN{p}, byName: map[string]pan.PAN{"k": p}, boxed: p}
	h.inner.deep = p
	return h
}

// forms lists how a leak of the canary could look: its number in every base and format of fmt, text, hex and base64.
func forms(t *testing.T) []string {
	t.Helper()
	n := mustParse(t, canary).Number()
	packed := mustParse(t, canary).Pack()
	return []string{
		canary, hex.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte(canary)),
		fmt.Sprintf("%x", n), fmt.Sprintf("%X", n), fmt.Sprintf("%o", n), fmt.Sprintf("%b", n), fmt.Sprintf("%U", n),
		fmt.Sprintf("%x", packed[1:]), strings.Trim(fmt.Sprint(packed[2:]), "[]"), canary[:12], canary[4:],
	}
}

func mustNotLeak(t *testing.T, how, printed string) {
	t.Helper()
	if slices.ContainsFunc(forms(t), func(form string) bool { return strings.Contains(printed, form) }) {
		t.Fatalf("%s leaks the PAN: %s", how, printed)
	}
}

func TestEveryVerbRedacts(t *testing.T) {
	h := newHolder(t)
	p := h.Exported
	for _, flags := range []string{"", "+", "#", " ", "# ", "0", "-40.3", ".2"} {
		for _, verb := range "vTtbcdoOqxXUeEfFgGspwzй" {
			format := "%" + flags + string(verb)
			for _, v := range []any{p, &p, h, &h, []holder{h}, map[string]*holder{"h": &h}, h.inner, h.slice, h.byName} {
				mustNotLeak(t, fmt.Sprintf("%q of %T", format, v), fmt.Sprintf(format, v))
			}
			if printed := fmt.Sprintf(format, p); !strings.ContainsRune("Tpw", verb) && printed != secret.Redacted {
				t.Errorf("%q prints %s", format, printed)
			}
		}
	}
}

func TestPrintFunctionsRedact(t *testing.T) {
	h := newHolder(t)
	p := h.Exported
	mustNotLeak(t, "Sprintln", fmt.Sprintln(p, &p, h, &h))
	mustNotLeak(t, "Errorf", fmt.Errorf("card %v of %+v: %s", p, h, p).Error())
	for _, printed := range []string{p.String(), p.GoString(), fmt.Sprint(p)} {
		if printed != secret.Redacted {
			t.Errorf("prints %s", printed)
		}
	}
}

func TestSlogRedacts(t *testing.T) {
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		out.Reset()
		h := newHolder(t)
		slog.New(handler).Info("m", "card", h.Exported, "pointer", h.pointer, "holder", h, "holders", &h)
		mustNotLeak(t, fmt.Sprintf("%T", handler), out.String())
		if got := strings.Count(out.String(), secret.Redacted); got < 3 {
			t.Errorf("%T shows %d redactions: %s", handler, got, out.String())
		}
	}
}

func TestEncodersRedact(t *testing.T) {
	h := newHolder(t)
	asJSON, err := json.Marshal(map[string]any{"card": h.Exported, "holder": h, "list": h.slice, "map": h.byName})
	if err != nil {
		t.Fatal(err)
	}
	mustNotLeak(t, "json", string(asJSON))
	if got := strings.Count(string(asJSON), `"`+secret.Redacted+`"`); got != 4 {
		t.Errorf("json has %d redactions, want 4: %s", got, asJSON)
	}
	asXML, err := xml.Marshal(cardFile{h.Exported})
	if want := "<cardFile><Number>" + secret.Redacted + "</Number></cardFile>"; err != nil || string(asXML) != want {
		t.Errorf("xml = %s, %v; want %s", asXML, err, want)
	}
	var asGob bytes.Buffer
	if err := gob.NewEncoder(&asGob).Encode(cardFile{h.Exported}); err == nil {
		t.Error("gob encodes a PAN without an error")
	}
	mustNotLeak(t, "gob", asGob.String())
}
