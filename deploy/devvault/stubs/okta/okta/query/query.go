// Package query stands in for the query parameters of the Okta client.
package query

// Params has no effect.
type Params struct{}

// ParamOptions is accepted and has no effect.
type ParamOptions func()

// NewQueryParams returns empty parameters.
func NewQueryParams(...ParamOptions) *Params { return &Params{} }

// WithFilter is accepted and has no effect.
func WithFilter(string) ParamOptions { return func() {} }
