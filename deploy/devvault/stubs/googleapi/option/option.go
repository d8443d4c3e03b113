// Package option stands in for google.golang.org/api/option, of which Vault's telemetry names one function.
package option

// ClientOption configures a client that this module does not have.
type ClientOption any

// WithUserAgent is accepted and has no effect.
func WithUserAgent(string) ClientOption { return nil }
