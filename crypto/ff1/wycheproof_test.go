package ff1_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"
	"github.com/google/go-cmp/cmp"

	"github.com/cardvault/cardvault/crypto/ff1"
)

// vector is one case of Wycheproof's aes_ff1_base10_test.json. msg and ct are strings of decimal digits, or have other
// characters in them where the case is about that.
type vector struct {
	ID     int    `json:"tcId"`
	Key    string `json:"key"`
	Tweak  string `json:"tweak"`
	Msg    string `json:"msg"`
	Ct     string `json:"ct"`
	Result string `json:"result"`
}

func wycheproofVectors(t *testing.T) []vector {
	t.Helper()
	raw, err := fs.ReadFile(wycheproof.TestVectors, "aes_ff1_base10_test.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		NumberOfTests int `json:"numberOfTests"`
		TestGroups    []struct {
			Tests []vector `json:"tests"`
		} `json:"testGroups"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	var all []vector
	for _, g := range file.TestGroups {
		all = append(all, g.Tests...)
	}
	if len(all) != file.NumberOfTests {
		t.Fatalf("%d vectors, the file says %d", len(all), file.NumberOfTests)
	}
	return all
}

// TestWycheproof runs every vector. Each falls in exactly one class, and the classes are counted, so that neither a
// change of the vectors nor one of the domain can shrink the test unseen.
func TestWycheproof(t *testing.T) {
	got := map[string]int{}
	for _, v := range wycheproofVectors(t) {
		class, err := runVector(t, v)
		if err != nil {
			t.Errorf("tcId %d, %s: %v", v.ID, class, err)
		}
		got[class]++
	}
	want := map[string]int{
		"6 to 19 digits, computed":          1545,
		"2 to 5 digits, below one million":  12,
		"20 and more digits, beyond uint64": 1755,
		"no digits or one":                  6,
		"key of no AES length":              5,
		"has a character that is no digit":  522,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("vectors by class (-want +got):\n%s", diff)
	}
}

// runVector returns the class of v and what Cipher does with it that it should not.
func runVector(t *testing.T, v vector) (class string, err error) {
	t.Helper()
	c, err := ff1.New(mustHex(t, v.Key))
	if err != nil {
		return "key of no AES length", expect(v, "invalid", err, ff1.ErrKey)
	}
	tweak, digits := mustHex(t, v.Tweak), len(v.Msg)
	if strings.Trim(v.Msg, "0123456789") != "" {
		return "has a character that is no digit", expect(v, "invalid", nil, nil) // no uint64 to call with
	}
	switch {
	case digits < 2:
		return "no digits or one", refused(c, v, "invalid", tweak)
	case digits < ff1.MinDigits:
		return "2 to 5 digits, below one million", refused(c, v, "valid", tweak)
	case digits > ff1.MaxDigits:
		return "20 and more digits, beyond uint64", refused(c, v, "valid", tweak)
	}
	return "6 to 19 digits, computed", errors.Join(expect(v, "valid", nil, nil), computed(c, v, tweak))
}

// refused calls with zero in as many digits as the message has: the length alone must be the reason.
func refused(c *ff1.Cipher, v vector, result string, tweak []byte) error {
	_, encErr := c.Encrypt(0, len(v.Msg), tweak)
	_, decErr := c.Decrypt(0, len(v.Msg), tweak)
	return errors.Join(expect(v, result, encErr, ff1.ErrDigits), expect(v, result, decErr, ff1.ErrDigits))
}

func computed(c *ff1.Cipher, v vector, tweak []byte) error {
	msg, msgErr := strconv.ParseUint(v.Msg, 10, 64)
	ct, ctErr := strconv.ParseUint(v.Ct, 10, 64)
	if err := errors.Join(msgErr, ctErr); err != nil {
		return err
	}
	if got, err := c.Encrypt(msg, len(v.Msg), tweak); err != nil || got != ct {
		return fmt.Errorf("encrypt: got %d, %w; want %d", got, err, ct)
	}
	if got, err := c.Decrypt(ct, len(v.Msg), tweak); err != nil || got != msg {
		return fmt.Errorf("decrypt: got %d, %w; want %d", got, err, msg)
	}
	return nil
}

func expect(v vector, result string, got, want error) error {
	if v.Result != result {
		return fmt.Errorf("the vector is %q, its class is %q", v.Result, result)
	}
	if !errors.Is(got, want) {
		return fmt.Errorf("got error %w, want %w", got, want)
	}
	return nil
}

// TestReferenceIsTheStandard holds the test's own reference against every valid vector, the long ones included.
func TestReferenceIsTheStandard(t *testing.T) {
	valid := 0
	for _, v := range wycheproofVectors(t) {
		if v.Result != "valid" {
			continue
		}
		valid++
		ct, err := reference(false, mustHex(t, v.Key), mustHex(t, v.Tweak), v.Msg)
		if err != nil || ct != v.Ct {
			t.Errorf("tcId %d: encrypts to %s, %v; want %s", v.ID, ct, err, v.Ct)
		}
		msg, err := reference(true, mustHex(t, v.Key), mustHex(t, v.Tweak), v.Ct)
		if err != nil || msg != v.Msg {
			t.Errorf("tcId %d: decrypts to %s, %v; want %s", v.ID, msg, err, v.Msg)
		}
	}
	if valid != 3312 {
		t.Errorf("%d valid vectors, want 3312", valid)
	}
}
