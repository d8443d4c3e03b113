package review

import (
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/audit"
)

// Act is something that the server did by itself.
type Act struct {
	Place

	Action string `json:"action"`
	Result string `json:"result"`
	Tenant string `json:"tenant,omitempty"`
	// About is what the act was about, in words: a key, a BIN range, an index of the
	// log or a policy.
	About string `json:"about,omitempty"`
}

// The acts that put a policy in force: a new one, or the one that a replica starts
// with.
const (
	setPolicy    = "SetPolicy"
	startReplica = "StartReplica"
)

// putsInForce reports whether an entry says so. Those of replicas before there were
// digests do not.
func putsInForce(e audit.Entry) bool {
	return !Refused(e) && (e.Action == setPolicy || e.Action == startReplica && e.Digest != audit.Hash{})
}

// Policy is a policy file that was in force in the period.
type Policy struct {
	// Digest is the SHA-256 of the file, hexadecimal; empty for no policy, which
	// denies everything.
	Digest string `json:"digest"`
	// Before: it was in force when the period began.
	Before bool `json:"before"`
	// First is where it was put in force: before the period where Before is set.
	First Place `json:"first"`
	// Times that a replica put it in force in the period.
	Times int64 `json:"times"`
}

type policyAct struct {
	Place

	digest audit.Hash
}

func (r *Report) act(at Place, e audit.Entry, in bool) {
	isPolicy := putsInForce(e)
	if !in {
		if isPolicy && (r.before.isZero() || at.compare(r.before.Place) > 0) {
			r.before = policyAct{at, e.Digest}
		}
		return
	}
	if isPolicy {
		p := r.policies.of(e.Digest)
		p.add(at)
		p.times++
	}
	*r.acts.of(Act{Place: at, Action: e.Action, Result: e.Result, Tenant: e.Tenant, About: about(e)})++
}

func about(e audit.Entry) string {
	switch {
	case e.Digest != audit.Hash{}:
		return "policy " + hex.EncodeToString(e.Digest[:])
	case e.Action == setPolicy:
		return "no policy"
	case e.BINRange != "":
		return "BIN range " + e.BINRange
	case e.Index != 0:
		return "log index " + strconv.FormatInt(e.Index, 10)
	case e.Key != uuid.Nil:
		return "key " + e.Key.String()
	default:
		return ""
	}
}

func (r *Report) actsList() []Act {
	acts := make([]Act, 0, len(r.acts.byKey))
	for act := range r.acts.byKey {
		acts = append(acts, act)
	}
	slices.SortFunc(acts, func(a, b Act) int { return a.compare(b.Place) })
	return acts
}

func (r *Report) policyList() []Policy {
	list := make([]Policy, 0, len(r.policies.byKey)+1)
	known := false
	for digest, p := range r.policies.byKey {
		policy := Policy{Digest: digestText(digest), First: p.first, Times: p.times}
		if !r.before.isZero() && digest == r.before.digest {
			known, policy.Before, policy.First = true, true, r.before.Place
		}
		list = append(list, policy)
	}
	if !known && !r.before.isZero() {
		list = append(list, Policy{Digest: digestText(r.before.digest), Before: true, First: r.before.Place})
	}
	slices.SortFunc(list, func(a, b Policy) int { return a.First.compare(b.First) })
	return list
}

func digestText(h audit.Hash) string {
	if h == (audit.Hash{}) {
		return ""
	}
	return hex.EncodeToString(h[:])
}
