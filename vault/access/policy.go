package access

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

// MaxPolicy is the most bytes that a policy file has. Cedar's parser recurses: it
// keeps a file of nothing but brackets from exhausting the stack.
const MaxPolicy = 128 << 10

// Policy decides requests. It never changes; a new file is a new Policy. Nil and
// zero Policies deny everything. It is safe for concurrent use.
type Policy struct {
	rules    rules
	contexts map[Action][]types.String
	views    []types.EntityUID
	digest   [sha256.Size]byte

	mu      sync.RWMutex
	decided map[Request]Decision
}

// rule is one statement of a policy file.
type rule struct {
	id     string
	policy *cedar.Policy
}

// rules are in order of id. Cedar evaluates them in that order, so that what it
// names first as a reason is the first by id.
type rules []rule

// All implements cedar.PolicyIterator.
func (rs rules) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, r := range rs {
			if !yield(cedar.PolicyID(r.id), r.policy) {
				return
			}
		}
	}
}

// Parse reads a policy file. An empty one is a policy that denies everything.
//
// It refuses what Cedar's grammar or the schema does not know, a policy without an
// @id of lower-case letters, digits and hyphens, and an id used twice. The error
// has a line for each mistake, and each begins with name and line number.
func Parse(name string, text []byte) (*Policy, error) {
	if len(text) > MaxPolicy {
		return nil, fmt.Errorf("%s: longer than %d bytes", name, MaxPolicy)
	}
	parsed, err := cedar.NewPolicyListFromBytes(name, text)
	if err != nil {
		return nil, syntaxError(name, err)
	}
	check, err := newChecker(name)
	if err != nil {
		return nil, err
	}
	rs := make(rules, 0, len(parsed))
	for _, p := range parsed {
		check.policy(p)
		rs = append(rs, rule{id: string(p.Annotations()["id"]), policy: p})
	}
	if len(check.mistakes) > 0 {
		return nil, errors.Join(check.mistakes...)
	}
	slices.SortFunc(rs, func(a, b rule) int { return cmp.Compare(a.id, b.id) })
	return &Policy{
		rules:    rs,
		contexts: contexts(check.schema),
		views:    check.schema.Enums[viewType].Values,
		digest:   sha256.Sum256(text),
		decided:  make(map[Request]Decision),
	}, nil
}

// Digest returns the SHA-256 of the file that the policy was read from; zero for a
// nil Policy. Audit entries name a policy by it.
func (p *Policy) Digest() [sha256.Size]byte {
	if p == nil {
		return [sha256.Size]byte{}
	}
	return p.digest
}
