package ship

import (
	"strconv"
	"strings"
)

// AppendCEF appends the event in ArcSight's Common Event Format, version 0
// (Implementing ArcSight CEF, version 25): the action is the signature id, the
// entry's index is externalId. Keys of cardvault's own begin with CardvaultAudit, as
// the chapter "Extension dictionary" has it.
//
// Control characters other than CR and LF in values become U+FFFD, since CEF has
// no escape for them; names and ids, which is what entries hold, have none.
func AppendCEF(dst []byte, e *Event) []byte {
	dst = append(dst, "CEF:0|cardvault|cardvault|1|"...)
	dst = appendEscaped(dst, e.action(), `\|`)
	dst = append(dst, '|')
	dst = appendEscaped(dst, cefName(e), `\|`)
	dst = append(dst, '|')
	dst = strconv.AppendInt(dst, cefSeverity(e), 10)
	dst = append(dst, "|externalId="...)
	dst = strconv.AppendInt(dst, e.Index, 10)
	dst = appendCEFField(dst, "CardvaultAuditLeafHash", e.Leaf.String())
	if e.Dropped() {
		return dst
	}
	dst = append(dst, " rt="...)
	dst = strconv.AppendInt(dst, e.Entry.Time.UnixMilli(), 10)
	dst = appendCEFField(dst, "outcome", []string{"success", "failure", "failure"}[e.outcome()])
	for _, f := range e.fields() {
		key := cefKey(f.name)
		dst = appendCEFField(dst, key, f.value)
		if strings.HasPrefix(key, "cs") {
			dst = appendCEFField(dst, key+"Label", f.name)
		}
	}
	return dst
}

func cefName(e *Event) string {
	if e.Dropped() {
		return "entry dropped by the retention policy"
	}
	return e.Entry.Action + " " + []string{"succeeded", "failed", "was denied"}[e.outcome()]
}

// cefSeverity is on CEF's scale: 0–3 low, 4–6 medium, 7–8 high, 9–10 very high.
func cefSeverity(e *Event) int64 { return []int64{1, 3, 5}[e.outcome()] }

// cefKey returns where CEF has a field.
func cefKey(name string) string {
	switch name {
	case "principal":
		return "suser"
	case "decision":
		return "act"
	case "result":
		return "reason"
	case "tenant":
		return "cs1"
	case "purpose":
		return "cs2"
	case "view":
		return "cs3"
	case "card_id":
		return "cs4"
	case "policy":
		return "cs5"
	case "bin_range":
		return "cs6"
	}
	words := strings.Split(name, "_")
	for i, word := range words {
		words[i] = strings.ToUpper(word[:1]) + word[1:]
	}
	return "CardvaultAudit" + strings.Join(words, "")
}

// appendCEFField appends a key and its value. In values \, = and line breaks are
// escaped; | is not.
func appendCEFField(dst []byte, key, value string) []byte {
	dst = append(append(append(dst, ' '), key...), '=')
	for i, line := range strings.Split(value, "\n") {
		if i > 0 {
			dst = append(dst, `\n`...)
		}
		for j, part := range strings.Split(line, "\r") {
			if j > 0 {
				dst = append(dst, `\r`...)
			}
			dst = appendEscaped(dst, part, `\=`)
		}
	}
	return dst
}
