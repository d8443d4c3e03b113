package access

import _ "embed"

//go:embed demo.cedar
var demoText string

// DemoPolicy returns the policy file of the demo, which is also written to be
// copied and edited. Its principals are issuer, payments, support, security and
// auditor.
func DemoPolicy() []byte { return []byte(demoText) }
