package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAnIndependentClientNeedsTheProtoFilesAlone issues and opens a card with grpcurl, which knows nothing of cardvault
// but its .proto files and a demo certificate.
func TestAnIndependentClientNeedsTheProtoFilesAlone(t *testing.T) {
	t.Parallel()
	s := &site{dir: t.TempDir(), transcript: &transcript{}}
	d := startDev(t, s, filepath.Join(t.TempDir(), "dev"))
	protos := protoFilesAlone(t)
	call := func(principal, method, request string) map[string]any {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), grpcurl(t),
			"-cacert", filepath.Join(d.dir, "ca.pem"), "-cert", filepath.Join(d.dir, principal+".pem"), "-key", filepath.Join(d.dir, principal+".key"),
			"-use-reflection=false", "-import-path", protos, "-proto", "cardvault/v1/cards.proto",
			"-d", request, d.address(t), "cardvault.v1."+method)
		text, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", method, err, text)
		}
		var answer map[string]any
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	card := call("issuer", "CardService/IssueCard", `{"requestId": "2b1c8f1e-6a52-4a71-9f4f-0f5a5d6f7a81", "binRange": "demo"}`)
	token, _ := card["token"].(string)
	shown := call("payments", "CardService/DetokenizeCard", `{"token": "`+token+`", "purpose": "settlement", "view": "VIEW_FULL"}`)
	pan, _ := shown["pan"].(string)
	last, _ := member(card["card"], "lastFour").(string)
	if !valid(pan) || !strings.HasPrefix(pan, "90000000") || !strings.HasSuffix(pan, last) {
		t.Errorf("grpcurl got no PAN of the demo range: %v", shown)
	}
	s.saw(pan)
	s.search(t)
}

// protoFilesAlone copies the .proto files of the project, and nothing else.
func protoFilesAlone(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob(repository("proto", "cardvault", "v1", "*.proto"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no .proto files: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "cardvault", "v1"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "cardvault", "v1", filepath.Base(file)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestWhatDevPrintsCanBePasted runs every command that `cardvault dev` invites to, in a shell at the repository's root,
// as printed.
func TestWhatDevPrintsCanBePasted(t *testing.T) {
	t.Parallel()
	s := &site{dir: t.TempDir(), transcript: &transcript{}}
	d := startDev(t, s, filepath.Join(t.TempDir(), "dev folder"))
	d.await(t, d.stdout, "and it is in force within", 1)
	_, invitation, _ := strings.Cut(d.stdout.String(), "It keeps serving until Ctrl-C")
	pasted := 0
	for line := range strings.Lines(strings.ReplaceAll(invitation, "\\\n", " ")) {
		if !strings.HasPrefix(line, "  ") {
			continue
		}
		pasted++
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", line)
		cmd.Dir = repository()
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(grpcurl(t))+":"+filepath.Dir(programs.cardvault(t))+":"+os.Getenv("PATH"))
		cmd.Stdin = strings.NewReader(wellKnown[1] + "\n")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", strings.TrimSpace(line), err, text)
		}
	}
	if pasted < 8 {
		t.Errorf("%d commands only:\n%s", pasted, invitation)
	}
}

// address is where a laptop's vault serves.
func (d *devServer) address(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, "address"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}
