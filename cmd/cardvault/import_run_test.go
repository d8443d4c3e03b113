package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// fakeVault keeps cards as a server does: a PAN once, a request id once. fail, if
// not nil, is asked before and after each call.
type fakeVault struct {
	cardvaultv1.CardServiceClient
	mu       sync.Mutex
	t        *testing.T
	cards    map[string]string // PAN → token
	requests map[string]string // request id → PAN
	existing map[string]bool   // request id → what it answered
	calls    int
	fail     func(call int, done bool) error
}

func newFakeVault(t *testing.T) *fakeVault {
	t.Helper()
	return &fakeVault{t: t, cards: map[string]string{}, requests: map[string]string{}, existing: map[string]bool{}}
}

func (f *fakeVault) BatchTokenizeCards(
	ctx context.Context, in *cardvaultv1.BatchTokenizeCardsRequest, _ ...grpc.CallOption,
) (*cardvaultv1.BatchTokenizeCardsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if err := errors.Join(ctx.Err(), f.ask(false)); err != nil {
		return nil, err
	}
	out := &cardvaultv1.BatchTokenizeCardsResponse{}
	for _, r := range in.GetRequests() {
		out.Results = append(out.Results, f.one(r))
	}
	return out, f.ask(true)
}

func (f *fakeVault) ask(done bool) error {
	if f.fail == nil {
		return nil
	}
	return f.fail(f.calls, done)
}

func (f *fakeVault) one(r *cardvaultv1.TokenizeCardRequest) *cardvaultv1.BatchTokenizeCardsResponse_Result {
	if !strings.HasPrefix(r.GetPan(), "9") {
		return &cardvaultv1.BatchTokenizeCardsResponse_Result{Result: &cardvaultv1.BatchTokenizeCardsResponse_Result_Error{
			Error: &cardvaultv1.ItemError{Code: int32(codes.InvalidArgument), Reason: "PAN_CHECK_DIGIT", Message: "no"},
		}}
	}
	if before, seen := f.requests[r.GetRequestId()]; seen && before != r.GetPan() {
		f.t.Error("a request id was used for another card")
	} else if !seen {
		_, f.existing[r.GetRequestId()] = f.cards[r.GetPan()]
		f.requests[r.GetRequestId()] = r.GetPan()
		f.cards[r.GetPan()] = "tok_" + r.GetPan()
	}
	return &cardvaultv1.BatchTokenizeCardsResponse_Result{Result: &cardvaultv1.BatchTokenizeCardsResponse_Result_Response{
		Response: &cardvaultv1.TokenizeCardResponse{
			Card: &cardvaultv1.Card{Id: "card"}, Token: f.cards[r.GetPan()], Existing: f.existing[r.GetRequestId()],
		},
	}}
}

// manyCards is an input of n lines after the header: good ones, a duplicate of
// line 2 as line 3, and, from line 4 on, every 500th refused by the server and
// every 501st before it is sent.
func manyCards(n int) string {
	var b strings.Builder
	b.WriteString("pan,expiry\n")
	for line := 2; line < n+2; line++ {
		switch {
		case line == 3:
			b.WriteString("90002,2030-12\n")
		case line%500 == 0:
			b.WriteString("12345,2030-12\n")
		case line%501 == 0:
			b.WriteString("nothing\n")
		default:
			fmt.Fprintf(&b, "9%04d,2030-12\n", line)
		}
	}
	return b.String()
}

// importOnce runs an import from a state file as a process would, up to but not
// including its report.
func importOnce(ctx context.Context, vault *fakeVault, text, statePath, tokensPath string) (done importDone, err error) {
	lines, err := newLineReader(strings.NewReader(text), formatCSV, "")
	if err != nil {
		return importDone{}, err
	}
	state, err := openImportState(statePath, importHead{Tokens: tokensPath != ""})
	if err != nil {
		return importDone{}, err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	tokens, err := openTokenFile(tokensPath, state)
	if err != nil {
		return importDone{}, err
	}
	defer func() { err = errors.Join(err, tokens.Close()) }()
	send := sender{cards: vault, requestID: state.requestID, timeout: time.Minute, pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
	im := importing{lines: lines, send: send.send, state: state, tokens: tokens, progress: func(int64) {}}
	err = im.run(ctx)
	return state.importDone, err
}

// A kill at any moment leaves a prefix of the state file, and a token file that is
// at least as long as that prefix says. From each of them the import must come to
// the same end.
func TestImportGoesOnFromAnyPrefix(t *testing.T) {
	dir := t.TempDir()
	statePath, tokensPath := filepath.Join(dir, "state"), filepath.Join(dir, "tokens")
	text := manyCards(3 * importBatch)
	vault := newFakeVault(t)
	want, err := importOnce(t.Context(), vault, text, statePath, tokensPath)
	if err != nil {
		t.Fatal(err)
	}
	if want.Accepted+want.Duplicate+int64(len(want.Refused)) != 3*importBatch || want.Duplicate != 1 || len(want.Refused) == 0 {
		t.Fatalf("got %d accepted, %d duplicate, %d refused", want.Accepted, want.Duplicate, len(want.Refused))
	}
	wantState, wantTokens, wantCards := readFile(t, statePath), readFile(t, tokensPath), len(vault.cards)
	if want.TokensEnd != int64(len(wantTokens)) {
		t.Fatalf("the token file has %d bytes, the state says %d", len(wantTokens), want.TokensEnd)
	}
	head := bytes.IndexByte(wantState, '\n')
	second := head + 1 + bytes.IndexByte(wantState[head+1:], '\n')
	for cut := head; cut <= len(wantState); cut++ {
		// Every thirteenth place, and all around the end of a line.
		around := wantState[max(0, cut-2):min(len(wantState), cut+2)]
		if cut%13 != 0 && !bytes.Contains(around, []byte("\n")) {
			continue
		}
		writeFile(t, statePath, wantState[:cut])
		if cut <= second { // no tokens were written yet
			writeFile(t, tokensPath, wantTokens[:len(tokenFileHeader)*(cut&1)])
		}
		if cut <= head { // with the head, the run is lost
			vault = newFakeVault(t)
		}
		got, err := importOnce(t.Context(), vault, text, statePath, tokensPath)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("cut at %d (-want +got)\n%s", cut, diff)
		}
		if !bytes.Equal(readFile(t, tokensPath), wantTokens) {
			t.Fatalf("cut at %d: another token file", cut)
		}
		if len(vault.cards) != wantCards {
			t.Fatalf("cut at %d: %d cards, want %d", cut, len(vault.cards), wantCards)
		}
		if cut == head {
			wantState = readFile(t, statePath) // of the run that vault now knows
		}
	}
}

// Answers get lost after the server has done the work; the next try is answered
// the same, and nothing is counted as a duplicate of itself.
func TestImportLostAnswers(t *testing.T) {
	vault := newFakeVault(t)
	vault.fail = func(call int, done bool) error {
		if done && call%2 == 1 {
			return status.Error(codes.Unavailable, "lost")
		}
		return nil
	}
	done, err := importOnce(t.Context(), vault, manyCards(5*importBatch), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if done.Duplicate != 1 || done.Accepted != int64(len(vault.cards)) {
		t.Errorf("got %d accepted and %d duplicate of %d cards", done.Accepted, done.Duplicate, len(vault.cards))
	}
}

func TestImportStopsAndGoesOn(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want exitCode
	}{
		"denied":      {status.Error(codes.PermissionDenied, "no"), exitDenied},
		"unavailable": {status.Error(codes.Unavailable, "down"), exitUnavailable},
		"internal":    {status.Error(codes.Internal, "internal error"), exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state")
			vault := newFakeVault(t)
			vault.fail = func(call int, _ bool) error {
				if call > 2 {
					return c.err
				}
				return nil
			}
			text := manyCards(5 * importBatch)
			done, err := importOnce(t.Context(), vault, text, path, "")
			if err == nil || asExit(err).code != c.want || done.Through > 2*importBatch+1 {
				t.Fatalf("got %v through line %d", err, done.Through)
			}
			vault.fail = nil
			done, err = importOnce(t.Context(), vault, text, path, "")
			if err != nil || done.Duplicate != 1 || done.Accepted != int64(len(vault.cards)) {
				t.Fatalf("got %v, %d accepted, %d duplicate, %d cards", err, done.Accepted, done.Duplicate, len(vault.cards))
			}
		})
	}
}

// One item that cannot be settled now is sent again alone.
func TestSendRetriesOpenItems(t *testing.T) {
	var sizes []int
	client := itemClient(func(r *cardvaultv1.TokenizeCardRequest, call int) *cardvaultv1.ItemError {
		if r.GetPan() == "busy" && call < 3 {
			return &cardvaultv1.ItemError{Code: int32(codes.Unavailable), Reason: "KEYS_UNAVAILABLE"}
		}
		return nil
	}, &sizes)
	s := sender{cards: client, requestID: func(int64) string { return "" }, timeout: time.Minute, pause: noPause}
	outcomes, err := s.send(t.Context(), []importLine{{number: 1, pan: "a"}, {number: 2, pan: "busy"}, {number: 3, refused: "X"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []outcome{{line: 1, token: "a"}, {line: 2, token: "busy"}, {line: 3, refused: "X"}}
	if diff := cmp.Diff(want, outcomes, cmp.AllowUnexported(outcome{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]int{2, 1, 1}, sizes); diff != "" {
		t.Errorf("batches (-want +got)\n%s", diff)
	}
}

func TestSendGivesUp(t *testing.T) {
	for code, want := range map[codes.Code]struct {
		exit  exitCode
		calls int
	}{
		codes.Unavailable:      {exitUnavailable, sendTries},
		codes.PermissionDenied: {exitDenied, 1},
	} {
		var sizes []int
		client := itemClient(func(*cardvaultv1.TokenizeCardRequest, int) *cardvaultv1.ItemError {
			return &cardvaultv1.ItemError{Code: int32(code), Reason: "WHY"}
		}, &sizes)
		s := sender{cards: client, requestID: func(int64) string { return "" }, timeout: time.Minute, pause: noPause}
		_, err := s.send(t.Context(), []importLine{{number: 7, pan: testPAN}})
		if err == nil || asExit(err).code != want.exit || asExit(err).reason != "WHY" || len(sizes) != want.calls {
			t.Errorf("%v: got %v after %d calls", code, err, len(sizes))
		}
		if err != nil && strings.Contains(asExit(err).line(), testPAN) {
			t.Errorf("%v: the PAN is repeated", code)
		}
	}
}

func TestSendWaitsLongerEachTime(t *testing.T) {
	var pauses []time.Duration
	client := itemClient(func(*cardvaultv1.TokenizeCardRequest, int) *cardvaultv1.ItemError {
		return &cardvaultv1.ItemError{Code: int32(codes.Unavailable)}
	}, new([]int))
	s := sender{cards: client, requestID: func(int64) string { return "" }, timeout: time.Minute, pause: func(_ context.Context, d time.Duration) error {
		pauses = append(pauses, d)
		return nil
	}}
	if _, err := s.send(t.Context(), []importLine{{number: 1}}); err == nil {
		t.Fatal("a server that never answers")
	}
	if len(pauses) != sendTries-1 || pauses[0] != firstPause || pauses[1] != 2*firstPause || pauses[len(pauses)-1] != maxPause {
		t.Errorf("paused %v", pauses)
	}
}

func noPause(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// itemClient answers each item by itself, and notes how many each batch had.
func itemClient(refuse func(r *cardvaultv1.TokenizeCardRequest, call int) *cardvaultv1.ItemError, sizes *[]int) cardvaultv1.CardServiceClient {
	return &itemVault{refuse: refuse, sizes: sizes}
}

type itemVault struct {
	cardvaultv1.CardServiceClient
	refuse func(r *cardvaultv1.TokenizeCardRequest, call int) *cardvaultv1.ItemError
	sizes  *[]int
}

func (v *itemVault) BatchTokenizeCards(
	_ context.Context, in *cardvaultv1.BatchTokenizeCardsRequest, _ ...grpc.CallOption,
) (*cardvaultv1.BatchTokenizeCardsResponse, error) {
	*v.sizes = append(*v.sizes, len(in.GetRequests()))
	out := &cardvaultv1.BatchTokenizeCardsResponse{}
	for _, r := range in.GetRequests() {
		result := &cardvaultv1.BatchTokenizeCardsResponse_Result{Result: &cardvaultv1.BatchTokenizeCardsResponse_Result_Response{
			Response: &cardvaultv1.TokenizeCardResponse{Token: r.GetPan()},
		}}
		if e := v.refuse(r, len(*v.sizes)); e != nil {
			result.Result = &cardvaultv1.BatchTokenizeCardsResponse_Result_Error{Error: e}
		}
		out.Results = append(out.Results, result)
	}
	return out, nil
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
