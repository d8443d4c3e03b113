package main

import (
	"maps"
	"slices"

	kubeauth "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/cert"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/builtin/logical/pki"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/vault"
)

// builtins is the list of engines and auth methods that the server has. Vault's own list, helper/builtinplugins, names
// every cloud's and database's as well: ten times the build.
type builtins map[consts.PluginType]map[string]logical.Factory

var _ vault.BuiltinRegistry = builtins{}

func newBuiltins() builtins {
	return builtins{
		consts.PluginTypeSecrets: {
			"kv":      kv.Factory,
			"pki":     pki.Factory,
			"transit": transit.Factory,
		},
		consts.PluginTypeCredential: {
			"approle":    approle.Factory,
			"cert":       cert.Factory,
			"kubernetes": kubeauth.Factory,
			"userpass":   userpass.Factory,
		},
	}
}

// Contains implements vault.BuiltinRegistry.
func (b builtins) Contains(name string, kind consts.PluginType) bool {
	_, ok := b[kind][name]
	return ok
}

// Get implements vault.BuiltinRegistry. Vault expects a function that returns a logical.Factory.
func (b builtins) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	factory, ok := b[kind][name]
	return func() (any, error) { return factory, nil }, ok
}

// Keys implements vault.BuiltinRegistry.
func (b builtins) Keys(kind consts.PluginType) []string {
	return slices.Sorted(maps.Keys(b[kind]))
}

// DeprecationStatus implements vault.BuiltinRegistry.
func (b builtins) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, b.Contains(name, kind)
}
