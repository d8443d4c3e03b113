package transittest_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"testing"

	vaultapi "github.com/hashicorp/vault/api"
	"go.uber.org/goleak"

	"github.com/cardvault/cardvault/crypto/transit/transittest"
)

const (
	mount     = "transit"
	key       = "kek"
	plaintext = "a data key, 32 bytes of it, here"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// startWithKey starts a server with one derived key.
func startWithKey(t *testing.T) *transittest.Server {
	t.Helper()
	server := transittest.Start(t)
	server.EnableTransit(t, mount)
	server.CreateKey(t, mount, key, map[string]any{"type": "aes256-gcm96", "derived": true})
	return server
}

func encrypt(t *testing.T, client *vaultapi.Client, context string) string {
	t.Helper()
	ciphertext, err := tryEncrypt(t, client, context)
	if err != nil {
		t.Fatal(err)
	}
	return ciphertext
}

func tryEncrypt(t *testing.T, client *vaultapi.Client, context string) (string, error) {
	t.Helper()
	secret, err := client.Logical().WriteWithContext(t.Context(), mount+"/encrypt/"+key, map[string]any{
		"plaintext": encode(plaintext), "context": encode(context),
	})
	if err != nil {
		return "", err
	}
	ciphertext, _ := secret.Data["ciphertext"].(string)
	return ciphertext, nil
}

func decrypt(t *testing.T, client *vaultapi.Client, ciphertext, context string) (string, error) {
	t.Helper()
	secret, err := client.Logical().WriteWithContext(t.Context(), mount+"/decrypt/"+key, map[string]any{
		"ciphertext": ciphertext, "context": encode(context),
	})
	if err != nil {
		return "", err
	}
	text, _ := secret.Data["plaintext"].(string)
	opened, err := base64.StdEncoding.DecodeString(text)
	return string(opened), err
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// opens fails the test unless the ciphertext still opens under its context.
func opens(t *testing.T, client *vaultapi.Client, ciphertext, context string) {
	t.Helper()
	if got, err := decrypt(t, client, ciphertext, context); err != nil || got != plaintext {
		t.Fatalf("decrypt = %q, %v; want %q", got, err, plaintext)
	}
}

// refused fails the test unless err is the server's answer with that status.
func refused(t *testing.T, err error, status int) {
	t.Helper()
	var answer *vaultapi.ResponseError
	if !errors.As(err, &answer) || answer.StatusCode != status {
		t.Fatalf("error = %v; want an answer with status %d", err, status)
	}
}

func TestDerivedKeyBindsItsContext(t *testing.T) {
	client := startWithKey(t).Client(t)
	ciphertext := encrypt(t, client, "data|tenant-a|1")

	opens(t, client, ciphertext, "data|tenant-a|1")
	_, err := decrypt(t, client, ciphertext, "data|tenant-b|1")
	refused(t, err, http.StatusBadRequest)
	_, err = decrypt(t, client, ciphertext, "")
	refused(t, err, http.StatusBadRequest)
}

func TestSealedServerAnswers503UntilUnsealed(t *testing.T) {
	server := startWithKey(t)
	client := server.Client(t)
	ciphertext := encrypt(t, client, "c")

	server.Seal(t)
	_, err := decrypt(t, client, ciphertext, "c")
	refused(t, err, http.StatusServiceUnavailable)

	server.Unseal(t)
	opens(t, client, ciphertext, "c")
}

func TestAuditLogRecordsPathsAndNoPlaintext(t *testing.T) {
	server := startWithKey(t)
	encrypt(t, server.Client(t), "c")

	log, err := os.ReadFile(server.AuditLog)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(log, []byte(`"path":"`+mount+"/encrypt/"+key+`"`)) {
		t.Error("no entry for the encryption")
	}
	if bytes.Contains(log, []byte(encode(plaintext))) {
		t.Error("the plaintext stands in the audit log")
	}
}

func TestServersAreStrangers(t *testing.T) {
	one, other := startWithKey(t), startWithKey(t)
	_, err := decrypt(t, other.Client(t), encrypt(t, one.Client(t), "c"), "c")
	refused(t, err, http.StatusBadRequest)
	if one.RootToken == other.RootToken {
		t.Error("two servers have the same root token")
	}
}
