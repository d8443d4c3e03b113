package transit

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrWeakKey is returned by the Checks if the transit key could be read out, deleted
// or used in another way than it is for.
var ErrWeakKey = errors.New("transit key is too weak")

// properties are those of a transit key that matter to us. What the server does not
// say stays nil, and counts as the weak answer.
type properties struct {
	Type                 string `json:"type"`
	Derived              *bool  `json:"derived"`
	Exportable           *bool  `json:"exportable"`
	DeletionAllowed      *bool  `json:"deletion_allowed"`
	AllowPlaintextBackup *bool  `json:"allow_plaintext_backup"`

	LatestVersion        int `json:"latest_version"`
	MinEncryptionVersion int `json:"min_encryption_version"` // for signatures too; 0: any
	// Keys are the versions by their number, without those that were archived. Their
	// form depends on the type.
	Keys json.RawMessage `json:"keys"`
}

// weakness returns an error for each property that a key of ours must not have.
func (p *properties) weakness(path, keyType string, derived bool) error {
	var weak []error
	refuse := func(property, next string) {
		weak = append(weak, fmt.Errorf("%w: %s: %s; %s", ErrWeakKey, path, property, next))
	}
	const another = "this cannot be changed: make another key"
	if p.Type != keyType {
		refuse(fmt.Sprintf("type is %q, want %q", p.Type, keyType), another)
	}
	if p.Derived == nil || *p.Derived != derived {
		refuse(fmt.Sprintf("derived is not %t", derived), fmt.Sprintf("%s with derived=%t", another, derived))
	}
	if p.Exportable == nil || *p.Exportable {
		refuse("exportable is not false", another+" without exportable")
	}
	if p.AllowPlaintextBackup == nil || *p.AllowPlaintextBackup {
		refuse("allow_plaintext_backup is not false", another+" without allow_plaintext_backup")
	}
	if p.DeletionAllowed == nil || *p.DeletionAllowed {
		refuse("deletion_allowed is not false", fmt.Sprintf("run: vault write %s/config deletion_allowed=false", path))
	}
	return errors.Join(weak...)
}
