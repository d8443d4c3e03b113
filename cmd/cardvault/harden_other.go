//go:build !linux

package main

// harden does nothing here: production runs on Linux, where it does.
func harden() error { return nil }
