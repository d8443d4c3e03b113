package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/audit"
	auditfile "github.com/hashicorp/vault/builtin/audit/file"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

const (
	storageInmem = "inmem"
	storageFile  = "file"
)

// newCore makes a sealed core over the chosen storage. Its log goes to standard error.
func newCore(o options) (*vault.Core, error) {
	logger := hclog.New(&hclog.LoggerOptions{Name: "vault", Level: hclog.Warn, Output: os.Stderr})
	storage, err := newStorage(o, logger)
	if err != nil {
		return nil, fmt.Errorf("%s storage: %w", o.storage, err)
	}
	return vault.NewCore(&vault.CoreConfig{
		Physical:        storage,
		StorageType:     o.storage,
		BuiltinRegistry: newBuiltins(),
		// The core would put its old, unversioned kv in place of the plugin's unless it is named here too.
		LogicalBackends: map[string]logical.Factory{"kv": kv.Factory},
		AuditBackends:   map[string]audit.Factory{"file": auditfile.Factory},
		Logger:          logger,
		DisableMlock:    true, // test keys only, and unprivileged users have too little memory to lock
	})
}

func newStorage(o options, logger hclog.Logger) (physical.Backend, error) {
	if o.storage == storageFile {
		return file.NewFileBackend(map[string]string{"path": filepath.Join(o.dir, "data")}, logger)
	}
	return inmem.NewInmem(nil, logger)
}
