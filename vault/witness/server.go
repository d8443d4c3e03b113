package witness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/audit"
)

// Config is what a server is made of. All of it is required.
type Config struct {
	Key *Key
	// Logs are the keys of the logs it is a witness of. A log's origin is the name of
	// its keys; while one key replaces another it has two.
	Logs  []note.Verifier
	State *State
	Clock func() time.Time
	Log   *slog.Logger
}

// Server is a witness. It is an http.Handler for the submission prefix and the
// monitoring prefix, which are the same, and it is safe for concurrent use.
type Server struct {
	key   *Key
	own   note.Verifier
	logs  map[string][]note.Verifier
	state *State
	clock func() time.Time
	log   *slog.Logger
	mux   *http.ServeMux
}

// NewServer returns the witness. It refuses a configuration without a log, or with
// one key twice.
func NewServer(cfg Config) (*Server, error) {
	if cfg.Key == nil || cfg.State == nil || cfg.Clock == nil || cfg.Log == nil {
		return nil, errors.New("witness: an incomplete configuration")
	}
	own, err := cfg.Key.Verifier()
	if err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	s := &Server{key: cfg.Key, own: own, logs: make(map[string][]note.Verifier), state: cfg.State, clock: cfg.Clock, log: cfg.Log}
	for _, key := range cfg.Logs {
		same := func(other note.Verifier) bool { return other.KeyHash() == key.KeyHash() }
		if slices.ContainsFunc(s.logs[key.Name()], same) {
			return nil, fmt.Errorf("witness: a key of %s is there twice", key.Name())
		}
		s.logs[key.Name()] = append(s.logs[key.Name()], key)
	}
	if len(s.logs) == 0 {
		return nil, errors.New("witness: no log")
	}
	s.route()
	return s, nil
}

// add is the add-checkpoint call: it returns the signature line, or a refusal. The
// order of the checks is that of C2SP tlog-witness.
func (s *Server) add(ctx context.Context, body []byte) (string, error) {
	r, err := parseRequest(body)
	if err != nil {
		return "", &refusalError{status: http.StatusBadRequest, why: err.Error()}
	}
	// "If the checkpoint origin is unknown, the witness MUST respond with a "404 Not
	// Found" HTTP status code."
	keys := s.logs[originOf(r.checkpoint)]
	if len(keys) == 0 {
		return "", &refusalError{status: http.StatusNotFound, why: "unknown log"}
	}
	// "The witness MUST verify the checkpoint signature against the public key(s) it
	// trusts for the checkpoint origin, and it MUST ignore signatures from unknown
	// keys." "The witness MUST respond with a "403 Forbidden" HTTP status code if
	// either no signature from a trusted key for the origin is present, or a signature
	// line's key name and ID match a trusted key but the signature itself fails to
	// verify".
	c, err := openCheckpoint(r.checkpoint, keys...)
	switch {
	case errors.Is(err, errUnsigned):
		return "", &refusalError{status: http.StatusForbidden, why: err.Error()}
	case err != nil:
		return "", &refusalError{status: http.StatusBadRequest, why: err.Error()}
	}
	// "The old size MUST be equal to or lower than the checkpoint size. Otherwise, the
	// witness MUST respond with a "400 Bad Request" HTTP status code."
	if r.old > c.Size {
		return "", &refusalError{status: http.StatusBadRequest, why: "the old size is larger than the checkpoint's"}
	}
	return s.cosign(ctx, r, c)
}

// cosign vouches for a checkpoint of a log where it extends the last.
func (s *Server) cosign(ctx context.Context, r request, c signed) (string, error) {
	var line string
	// "Note that checking the old size against the latest checkpoint and persisting
	// the new checkpoint must be performed atomically".
	err := s.state.advance(c.Origin, func(latest audit.Checkpoint) (signed, error) {
		if err := extends(r, c.Checkpoint, latest); err != nil {
			return signed{}, err
		}
		var err error
		if line, err = s.key.Cosign(c.text, s.clock()); err != nil {
			return signed{}, err
		}
		// "it MUST include the cosignature(s) from the witness's key(s) that were
		// returned from add-checkpoint and the cosignature from the log key(s) that the
		// witness verified."
		c.lines = append(c.lines, line)
		return c, nil
	})
	if refusal, ok := errors.AsType[*refusalError](err); ok && refusal.status == http.StatusUnprocessableEntity {
		// "the witness MAY log the request even if the checkpoint fails one of the
		// consistency checks above [...], as it might be proof of log misbehavior."
		s.log.WarnContext(ctx, "a checkpoint that does not extend the last one",
			slog.String("why", refusal.why), slog.String("checkpoint", string(r.checkpoint)), slog.Int64("old", r.old))
	}
	// "The witness MUST persist the new checkpoint before responding."
	return line, err
}

// extends refuses a checkpoint that is not shown to extend the latest.
func extends(r request, c, latest audit.Checkpoint) error {
	// "The witness MUST check that the old size matches the size of the latest
	// checkpoint it cosigned for the checkpoint's origin (or zero if it never cosigned
	// a checkpoint for that origin). If it doesn't match, the witness MUST respond with
	// a "409 Conflict" HTTP status code."
	if r.old != latest.Size {
		return &refusalError{status: http.StatusConflict, why: "another size was the last", size: latest.Size}
	}
	// "A checkpoint of size zero MUST have the root hash of the empty tree, which RFC
	// 6962, Section 2.1 defines as the hash of the empty string. Otherwise, the witness
	// MUST respond with a "422 Unprocessable Entity" HTTP status code."
	if c.Size == 0 && c.Root != emptyRoot() {
		return &refusalError{status: http.StatusUnprocessableEntity, why: "not the root of the empty tree"}
	}
	// "If the proof is not empty when the old size is zero, or if a Merkle Consistency
	// Proof doesn't verify, the witness MUST respond with a "422 Unprocessable Entity"
	// HTTP status code." "If the old size matches the checkpoint size, the witness MUST
	// check that the root hashes are also identical."
	if !consistent(r.proof, c, latest) {
		return &refusalError{status: http.StatusUnprocessableEntity, why: "the proof does not hold"}
	}
	return nil
}

// consistent reports whether the proof shows that one tree extends another. From the
// empty tree every one does; to a tree of the same size it is empty, and the roots
// are equal.
func consistent(proof tlog.TreeProof, c, old audit.Checkpoint) bool {
	if old.Size == 0 {
		return len(proof) == 0
	}
	return tlog.CheckTree(proof, c.Size, c.Root, old.Size, old.Root) == nil
}

// emptyRoot is MTH({}) = SHA-256() (RFC 6962 §2.1).
func emptyRoot() tlog.Hash {
	root, _ := tlog.TreeHash(0, nil) // asks the reader for nothing
	return root
}

// refusalError is an answer that is no cosignature.
type refusalError struct {
	status int
	why    string
	// size of the last checkpoint, where the status is 409.
	size int64
}

func (e *refusalError) Error() string { return cmp.Or(e.why, http.StatusText(e.status)) }
