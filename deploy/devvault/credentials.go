package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// credentials open the server. They are kept in its folder, in clear, for the next start over the same storage.
type credentials struct {
	UnsealKey string `json:"unseal_key"` // hexadecimal, as sys/unseal takes it
	RootToken string `json:"root_token"`
}

func credentialsPath(dir string) string { return filepath.Join(dir, "credentials.json") }

func (c credentials) save(dir string) error {
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(credentialsPath(dir), raw, 0o600)
}

func loadCredentials(dir string) (credentials, error) {
	var c credentials
	raw, err := os.ReadFile(credentialsPath(dir))
	if err != nil {
		return c, fmt.Errorf("the storage was initialised before: %w", err)
	}
	return c, json.Unmarshal(raw, &c)
}
