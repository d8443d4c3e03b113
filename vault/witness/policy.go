package witness

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	formats "github.com/transparency-dev/formats/witness"
	"golang.org/x/mod/sumdb/note"
)

// ErrPolicy is returned by ParsePolicy if the text is no policy that a log can use.
var ErrPolicy = errors.New("malformed witness policy")

// Policy says which witnesses a log asks, and which of them have to cosign.
type Policy struct {
	quorum  formats.Group
	members []member
}

// member is a witness of a policy.
type member struct {
	key note.Verifier
	// url is the submission prefix, which is the monitoring prefix too.
	url string
}

// ParsePolicy reads a C2SP tlog-policy. Each witness needs a URL: https, or http
// where the witness is on this machine. The quorum must not be none: a log without
// witnesses has no policy.
func ParsePolicy(text []byte) (Policy, error) {
	if err := precheck(string(text)); err != nil {
		return Policy{}, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	group, err := formats.ParsePolicy(text)
	if err != nil {
		return Policy{}, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	p := Policy{quorum: group}
	if err := p.take(group); err != nil {
		return Policy{}, err
	}
	slices.SortFunc(p.members, func(a, b member) int { return cmp.Compare(a.key.Name(), b.key.Name()) })
	return p, nil
}

// precheck refuses what the library lets pass, or the last of many win.
func precheck(text string) error {
	quorums, keys := 0, make(map[string]bool)
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) > 0 && fields[0] == "quorum":
			quorums++
		case len(fields) > 2 && fields[0] == "witness":
			key := publicKey(fields[2])
			if keys[key] {
				return fmt.Errorf("the key of the witness %s is there twice", fields[1])
			}
			keys[key] = true
		}
	}
	// "A policy file must include exactly one quorum line."
	if quorums != 1 {
		return fmt.Errorf("%d quorum lines in place of one", quorums)
	}
	return nil
}

// publicKey returns what of a verifier key makes it another one. "Duplicate witnesses,
// i.e., multiple witness lines with the same public key, are not allowed", "even if
// they differ by key name and key id", which is made of name and type.
func publicKey(vkey string) string {
	_, rest, _ := strings.Cut(vkey, "+")
	_, encoded, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) == 0 {
		return vkey // the library refuses it
	}
	return string(raw[1:])
}

// take walks a group and collects its witnesses.
func (p *Policy) take(group formats.Group) error {
	// "It is required that 1 <= k <= n." The library has checked the upper bound.
	if group.N < 1 {
		return fmt.Errorf("%w: a quorum that no witness is needed for", ErrPolicy)
	}
	for _, c := range group.Components {
		var err error
		switch c := c.(type) {
		case formats.Group:
			err = p.take(c)
		case formats.Witness:
			err = p.add(c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// add takes one witness. "Each defined name can be listed as a group member at most
// once": it could count for two.
func (p *Policy) add(w formats.Witness) error {
	m := member{key: w.Key, url: strings.TrimSuffix(w.URL, "/add-checkpoint")}
	for _, other := range p.members {
		if other.key.Name() == m.key.Name() || other.url == m.url {
			return fmt.Errorf("%w: the witness %s is there twice, or shares its URL", ErrPolicy, m.key.Name())
		}
	}
	if err := checkURL(m.url); err != nil {
		return fmt.Errorf("%w: URL of the witness %s: %w", ErrPolicy, m.key.Name(), err)
	}
	p.members = append(p.members, m)
	return nil
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("not a URL")
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("want https://HOST/PATH")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	default:
		return errors.New("want https; http is for witnesses on a loopback address")
	}
}

// loopback reports whether a host is this machine itself.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
