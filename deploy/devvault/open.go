package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hashicorp/vault/helper/namespace"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/vault"
)

const auditFile = "audit.log"

// openVault unseals the core, after initialising it if its storage is new, and returns the credentials that open it.
func openVault(ctx context.Context, core *vault.Core, o options) (credentials, error) {
	ctx = namespace.ContextWithNamespace(ctx, namespace.RootNamespace)
	initialised, err := core.Initialized(ctx)
	if err != nil {
		return credentials{}, err
	}
	if !initialised {
		return create(ctx, core, o)
	}
	creds, err := loadCredentials(o.dir)
	if err != nil {
		return credentials{}, err
	}
	return creds, unseal(core, creds.UnsealKey)
}

// create initialises new storage. The credentials are saved first: nothing else opens the storage again.
func create(ctx context.Context, core *vault.Core, o options) (credentials, error) {
	result, err := core.Initialize(ctx, &vault.InitParams{
		BarrierConfig: &vault.SealConfig{SecretShares: 1, SecretThreshold: 1, StoredShares: 1},
	})
	if err != nil {
		return credentials{}, fmt.Errorf("initialise: %w", err)
	}
	creds := credentials{UnsealKey: hex.EncodeToString(result.SecretShares[0]), RootToken: result.RootToken}
	if err := creds.save(o.dir); err != nil {
		return credentials{}, err
	}
	if err := unseal(core, creds.UnsealKey); err != nil {
		return credentials{}, err
	}
	if err := enableAudit(ctx, core, creds.RootToken, filepath.Join(o.dir, auditFile)); err != nil {
		return credentials{}, fmt.Errorf("enable audit device: %w", err)
	}
	if o.rootToken == "" {
		return creds, nil
	}
	if err := replaceRootToken(ctx, core, creds.RootToken, o.rootToken); err != nil {
		return credentials{}, fmt.Errorf("root token: %w", err)
	}
	creds.RootToken = o.rootToken
	return creds, creds.save(o.dir)
}

func unseal(core *vault.Core, hexKey string) error {
	key, err := hex.DecodeString(hexKey)
	if err != nil {
		return fmt.Errorf("unseal key: %w", err)
	}
	unsealed, err := core.Unseal(key)
	if err == nil && !unsealed {
		err = errors.New("the saved key does not unseal this storage")
	}
	return err
}

func enableAudit(ctx context.Context, core *vault.Core, token, path string) error {
	return write(ctx, core, token, "sys/audit/file", map[string]any{
		"type": "file", "options": map[string]any{"file_path": path},
	})
}

// replaceRootToken creates the wanted root token and revokes the one that initialisation gave.
func replaceRootToken(ctx context.Context, core *vault.Core, initial, wanted string) error {
	err := write(ctx, core, initial, "auth/token/create", map[string]any{
		"id": wanted, "policies": []string{"root"}, "no_parent": true, "no_default_policy": true,
	})
	if err != nil {
		return err
	}
	return write(ctx, core, initial, "auth/token/revoke-self", nil)
}

// write makes one request to the core, without a round trip through the listener.
func write(ctx context.Context, core *vault.Core, token, path string, data map[string]any) error {
	response, err := core.HandleRequest(ctx, &logical.Request{
		Operation: logical.UpdateOperation, ClientToken: token, Path: path, Data: data,
	})
	return errors.Join(err, response.Error())
}
