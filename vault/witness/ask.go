package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// maxAnswer is how much of a witness's answer is read: a checkpoint with as many
// signatures as signed-note asks for.
const maxAnswer = 128 << 10

// errMissing says that a witness has no checkpoint of a log.
var errMissing = errors.New("has no checkpoint of this log")

// conflictError is a 409: the size that the witness has.
type conflictError struct{ size int64 }

func (e *conflictError) Error() string {
	return fmt.Sprintf("says that it has seen %d entries", e.size)
}

// statusError is an answer that is no success.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return fmt.Sprintf("answers %d: %q", e.status, e.text) }

// post is one add-checkpoint call. It returns the signature lines by the witness's
// key, verified. The error is a conflictError or a statusError where the witness
// answered one.
func (m *member) post(ctx context.Context, web *http.Client, r request, text string) ([]string, error) {
	ask, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+"/add-checkpoint", bytes.NewReader(r.encode()))
	if err != nil {
		return nil, err
	}
	ask.Header.Set("Content-Type", "text/plain; charset=utf-8")
	status, header, body, err := do(web, ask)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusOK:
		return m.verified(text, body)
	case status == http.StatusConflict:
		return nil, conflict(header, body)
	default:
		return nil, refused(status, body)
	}
}

// conflict reads a 409. C2SP tlog-witness: "The response body MUST consist of the
// tree size of the latest cosigned checkpoint in decimal, followed by a newline
// (U+000A). The response MUST have a Content-Type of text/x.tlog.size."
func conflict(header http.Header, body []byte) error {
	text, ok := strings.CutSuffix(string(body), "\n")
	media, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	size, err := parseSize(text)
	if !ok || err != nil || media != sizeType {
		return refused(http.StatusConflict, body)
	}
	return &conflictError{size: size}
}

func refused(status int, body []byte) error {
	const shown = 100
	return &statusError{status: status, text: strings.TrimSpace(string(body[:min(len(body), shown)]))}
}

// verified takes the cosignatures out of an answer. C2SP tlog-witness: "The client
// MUST ignore any cosignatures from unknown keys. To parse the response, the client
// MAY concatenate it to the checkpoint, and use a note verification function".
func (m *member) verified(text string, lines []byte) ([]string, error) {
	n, err := note.Open(append([]byte(text+"\n"), lines...), note.VerifierList(m.key))
	if err != nil {
		return nil, errors.New("answers without a good cosignature by its key")
	}
	var good []string
	for _, sig := range n.Sigs {
		// "the timestamp MUST NOT be zero."
		if at, err := formats.CoSigV1Timestamp(sig); err != nil || !at.After(time.Unix(0, 0)) {
			return nil, errors.New("answers with a cosignature without a time")
		}
		good = append(good, "— "+sig.Name+" "+sig.Base64+"\n")
	}
	return good, nil
}

// get fetches the last checkpoint of a log that the witness has cosigned, as it is.
func (m *member) get(ctx context.Context, web *http.Client, origin string) ([]byte, error) {
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url+monitorPath(origin), nil)
	if err != nil {
		return nil, err
	}
	status, _, body, err := do(web, ask)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusOK:
		return body, nil
	case status == http.StatusNotFound:
		return nil, errMissing
	default:
		return nil, refused(status, body)
	}
}

// do reads an answer whole, so that the connection can be used again.
func do(web *http.Client, ask *http.Request) (status int, header http.Header, body []byte, err error) {
	answer, err := web.Do(ask)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	body, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errors.New("an answer that is too long")
	}
	return answer.StatusCode, answer.Header, body, err
}
