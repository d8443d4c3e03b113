//go:build race

package e2e

// buildFlags have the binary watched like the tests.
var buildFlags = []string{"-race"}
