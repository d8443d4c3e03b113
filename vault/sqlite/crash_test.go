package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/sqlite"
)

// What the test binary does instead of tests where these variables hold a path.
const (
	envWriter   = "SQLITE_TEST_WRITER"
	envFullDisk = "SQLITE_TEST_FULL_DISK"
)

func TestMain(m *testing.M) {
	var err error
	switch {
	case os.Getenv(envWriter) != "":
		err = writeForever(context.Background(), os.Getenv(envWriter))
	case os.Getenv(envFullDisk) != "":
		err = writeToAFullDisk(context.Background(), os.Getenv(envFullDisk))
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// writeForever commits cards and names each on standard output: before, and once
// it is acknowledged.
func writeForever(ctx context.Context, path string) error {
	store, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	w := newWriter(store)
	fmt.Println("chain", w.id)
	for {
		card := newCard()
		fmt.Println("begin", card.ID)
		if err := w.commit(ctx, w.insert(card)); err != nil {
			return err
		}
		fmt.Println("done", card.ID)
	}
}

// A process is killed while it commits, again and again. What it acknowledged is
// there; a card it did not is there with its entry or not at all.
func TestProcessKilledWhileCommitting(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "vault.db")
	for round := range 5 {
		chain, cards, acknowledged := killWriter(t, path, 20+13*round)
		store := open(t, path)
		there := int64(0)
		for _, id := range cards {
			_, err := store.Card(t.Context(), "acme", id)
			switch {
			case err == nil:
				there++
			case !errors.Is(err, vault.ErrNoRow):
				t.Fatal(err)
			case acknowledged[id]:
				t.Errorf("round %d: an acknowledged card is lost", round)
			}
		}
		head, err := store.Head(t.Context(), chain)
		if err != nil || head.Number+1 != there {
			t.Errorf("round %d: head %d, error %v, want an entry for each of %d cards", round, head.Number, err, there)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killWriter runs writeForever, kills it after some acknowledged cards, and returns
// its chain and which cards it began and acknowledged.
func killWriter(t *testing.T, path string, after int) (chain uuid.UUID, begun []uuid.UUID, acknowledged map[uuid.UUID]bool) {
	t.Helper()
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), envWriter+"="+path)
	stdout, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged = map[uuid.UUID]bool{}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() { // to the end: what it said before it was killed counts
		verb, name, _ := strings.Cut(lines.Text(), " ")
		id, err := uuid.Parse(name)
		if err != nil {
			break // the last line is cut off, or an error
		}
		switch verb {
		case "chain":
			chain = id
		case "begin":
			begun = append(begun, id)
		case "done":
			acknowledged[id] = true
		}
		if len(acknowledged) == after {
			if err := process.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(acknowledged) < after {
		rest, _ := io.ReadAll(stdout)
		t.Fatalf("the process ended by itself: %s %s", lines.Text(), rest)
	}
	_ = process.Wait() // It was killed, and says so.
	return chain, begun, acknowledged
}

// The disk is full at each point of a commit. Nothing is torn, the store says no
// more than it knows, and goes on once there is room again.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), envFullDisk+"="+filepath.Join(t.TempDir(), "vault.db"))
	output, err := process.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, output)
	}
	t.Logf("%s", output)
}

// writeToAFullDisk limits how long a file may grow, which is a matter of the whole
// process, and commits past the limit.
func writeToAFullDisk(ctx context.Context, path string) error {
	signal.Ignore(syscall.SIGXFSZ) // so that a write fails instead
	store, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	w := newWriter(store)
	refused, unknown := 0, 0
	for room := uint64(0); ; room += 700 {
		card := newCard()
		if err := w.commit(ctx, w.insert(newCard())); err != nil {
			return fmt.Errorf("commit with room: %w", err)
		}
		err := withRoom(path+"-wal", room, func() error { return w.commit(ctx, w.insert(card)) })
		if err == nil && refused > 0 {
			break
		}
		if err == nil {
			continue // it fits into what the log had before
		}
		refused++
		if errors.Is(err, vault.ErrUnknownOutcome) {
			unknown++
		}
		if err := nothingTorn(ctx, w, card, err); err != nil {
			return fmt.Errorf("with room for %d bytes: %w", room, err)
		}
	}
	fmt.Println("failed commits:", refused, "of unknown outcome:", unknown)
	return store.Close()
}

// withRoom runs f while no file may grow longer than the one at path and some room.
func withRoom(path string, room uint64, f func() error) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	short := syscall.Rlimit{Cur: uint64(info.Size()) + room, Max: before.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &short); err != nil {
		return err
	}
	failed := f()
	return errors.Join(failed, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before))
}

// nothingTorn checks that a commit which failed is not there, or, where the store
// does not know, there as a whole.
func nothingTorn(ctx context.Context, w *writer, card vault.CardRow, failed error) error {
	head, err := w.store.Head(ctx, w.id)
	if err != nil {
		return err
	}
	_, err = w.store.Card(ctx, "acme", card.ID)
	landed := head.Number == w.chain.Len()
	if landed != (err == nil) {
		return fmt.Errorf("entry: %v, card: %w", landed, err)
	}
	if landed && !errors.Is(failed, vault.ErrUnknownOutcome) {
		return fmt.Errorf("a commit landed that was refused: %w", failed)
	}
	w.chain, err = audit.ResumeChain(head)
	return err
}
