package vault

// Kind is what a caller can do about an error. The zero Kind is internal.
type Kind int

// The kinds of error. The server maps each to one gRPC status code.
const (
	// Internal is a fault of the server; what it was is logged, never answered.
	Internal Kind = iota
	// Invalid: the request can never succeed as it is.
	Invalid
	// Denied: policy does not allow it.
	Denied
	// NotFound: no such thing, as far as this caller may know.
	NotFound
	// Conflict: something else already stands there.
	Conflict
	// Precondition: the thing is not in a state for this.
	Precondition
	// Exhausted: a range is full or a limit is reached.
	Exhausted
	// Unavailable: try again; a write with the same request id.
	Unavailable
)

// Error is a refusal with a stable Reason that a client can switch on. It names
// the field at fault and never holds a value. Two Errors match under errors.Is
// when their Reasons are equal.
type Error struct {
	Kind    Kind
	Reason  string
	Message string
	// Field of the request, in its proto name; empty where no field is at fault.
	Field string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// Is reports whether target is an Error with the same Reason.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Reason == e.Reason
}

// In returns the error as said of one field.
func (e *Error) In(field string) *Error {
	named := *e
	named.Field = field
	return &named
}

// What a caller can be answered.
var (
	ErrDenied = &Error{Kind: Denied, Reason: "PERMISSION_DENIED", Message: "policy does not allow this"}

	ErrRequestID       = &Error{Kind: Invalid, Reason: "REQUEST_ID_MALFORMED", Message: "want a lower-case UUID"}
	ErrRequestIDReused = &Error{Kind: Conflict, Reason: "REQUEST_ID_REUSED", Message: "this request id was used for another request"}
	ErrBatchSize       = &Error{Kind: Invalid, Reason: "BATCH_SIZE", Message: "want 1 to 1000 items"}
	ErrPageSize        = &Error{Kind: Invalid, Reason: "PAGE_SIZE", Message: "want 0 to 1000"}
	ErrPageToken       = &Error{Kind: Invalid, Reason: "PAGE_TOKEN_MALFORMED", Message: "want the next_page_token of the page before"}
	ErrPurpose         = &Error{Kind: Invalid, Reason: "PURPOSE_REQUIRED", Message: "want a purpose that policy names: a lower-case letter, then lower-case letters, digits, - and _, at most 64, at most 8 digits"}
	ErrView            = &Error{Kind: Invalid, Reason: "VIEW_REQUIRED", Message: "want LAST_FOUR, MASKED or FULL"}
	ErrUnknownField    = &Error{Kind: Invalid, Reason: "UNKNOWN_FIELD", Message: "the request has a field that this server does not know"}

	ErrPANLength     = &Error{Kind: Invalid, Reason: "PAN_LENGTH", Message: "want 12 to 19 digits"}
	ErrPANDigit      = &Error{Kind: Invalid, Reason: "PAN_DIGIT", Message: "want ASCII digits alone, without spaces"}
	ErrPANCheckDigit = &Error{Kind: Invalid, Reason: "PAN_CHECK_DIGIT", Message: "the check digit does not fit"}
	ErrExpiry        = &Error{Kind: Invalid, Reason: "EXPIRY_INVALID", Message: "want a year from 2000 to 2099 and a month from 1 to 12"}
	ErrExpiryPast    = &Error{Kind: Invalid, Reason: "EXPIRY_PAST", Message: "want a month that has not ended"}
	ErrExpiryEarlier = &Error{Kind: Invalid, Reason: "EXPIRY_NOT_LATER", Message: "want a later month than the present expiry"}

	// ErrVerificationCode refuses what PCI DSS 4.0.1, 3.3.1.2 says is never kept.
	ErrVerificationCode = &Error{Kind: Invalid, Reason: "CARD_VERIFICATION_CODE", Message: "looks like a card verification code, which is never accepted"}
	// ErrTrackData refuses what PCI DSS 4.0.1, 3.3.1.1 says is never kept.
	ErrTrackData = &Error{Kind: Invalid, Reason: "TRACK_DATA", Message: "looks like track data, which is never accepted"}
	// ErrCardData refuses a PAN where none belongs.
	ErrCardData = &Error{Kind: Invalid, Reason: "CARD_DATA", Message: "looks like a card number, which does not belong here"}

	ErrCardID        = &Error{Kind: Invalid, Reason: "CARD_ID_MALFORMED", Message: "want a lower-case UUID"}
	ErrCardNotFound  = &Error{Kind: NotFound, Reason: "CARD_NOT_FOUND", Message: "no such card"}
	ErrCardSuspended = &Error{Kind: Precondition, Reason: "CARD_SUSPENDED", Message: "the card is suspended"}
	ErrCardClosed    = &Error{Kind: Precondition, Reason: "CARD_CLOSED", Message: "the card is closed"}
	ErrCardChanged   = &Error{Kind: Unavailable, Reason: "CARD_CHANGED", Message: "another call changed the card at the same moment; try again"}
	ErrCardActive    = &Error{Kind: Precondition, Reason: "CARD_ACTIVE", Message: "the card is active"}

	// ErrTokenNotFound answers unknown, foreign, deleted and expired tokens alike (P6).
	ErrTokenNotFound  = &Error{Kind: NotFound, Reason: "TOKEN_NOT_FOUND", Message: "no such token"}
	ErrTokenUsed      = &Error{Kind: Precondition, Reason: "TOKEN_USED", Message: "the single-use token was used"}
	ErrTokenMalformed = &Error{Kind: Invalid, Reason: "TOKEN_MALFORMED", Message: "not a token of this vault"}
	ErrTokenOptions   = &Error{Kind: Invalid, Reason: "TOKEN_OPTIONS", Message: "want a known format, a ttl of 1 second to 10 years, at most 16 principals, and keep_last_four with DIGITS alone"}

	ErrBINRangeID        = &Error{Kind: Invalid, Reason: "BIN_RANGE_ID_MALFORMED", Message: "want a lower-case letter, then lower-case letters, digits and hyphens, 3 to 63, at most 8 digits"}
	ErrBINRangeInvalid   = &Error{Kind: Invalid, Reason: "BIN_RANGE_INVALID", Message: "not a range of PANs"}
	ErrBINRangeNotFound  = &Error{Kind: NotFound, Reason: "BIN_RANGE_NOT_FOUND", Message: "no such BIN range"}
	ErrBINRangeExists    = &Error{Kind: Conflict, Reason: "BIN_RANGE_EXISTS", Message: "a BIN range of this id is there"}
	ErrBINRangeOverlap   = &Error{Kind: Conflict, Reason: "BIN_RANGE_OVERLAP", Message: "overlaps another BIN range"}
	ErrBINRangeChanged   = &Error{Kind: Unavailable, Reason: "BIN_RANGE_CHANGED", Message: "another call changed the BIN range at the same moment; try again"}
	ErrBINRangePaused    = &Error{Kind: Precondition, Reason: "BIN_RANGE_PAUSED", Message: "the BIN range is paused"}
	ErrBINRangeStopped   = &Error{Kind: Precondition, Reason: "BIN_RANGE_STOPPED", Message: "the BIN range was stopped by the server; see the alarm in its log"}
	ErrBINRangeActive    = &Error{Kind: Precondition, Reason: "BIN_RANGE_ACTIVE", Message: "the BIN range is active"}
	ErrBINRangeExhausted = &Error{Kind: Exhausted, Reason: "BIN_RANGE_EXHAUSTED", Message: "every number of the BIN range is issued"}

	// ErrBINRangeCrowded: the call got on by what it found taken, so another finds less.
	ErrBINRangeCrowded = &Error{Kind: Unavailable, Reason: "BIN_RANGE_CROWDED", Message: "the next numbers of the BIN range are all reserved or came from elsewhere; try again"}

	// ErrEntryNotFound answers entries that are foreign, unknown or dropped alike (P6).
	ErrEntryNotFound = &Error{Kind: NotFound, Reason: "ENTRY_NOT_FOUND", Message: "no such entry in the audit log"}
	// ErrEntryPending: the entry is durable, and the next checkpoint is going to cover it.
	ErrEntryPending = &Error{Kind: Unavailable, Reason: "ENTRY_PENDING", Message: "no checkpoint covers the entry yet; try again"}
	ErrEntryDropped = &Error{Kind: NotFound, Reason: "ENTRY_DROPPED", Message: "the entry was dropped by the retention policy; its hash is still in the log"}
	ErrEntryPlace   = &Error{Kind: Invalid, Reason: "ENTRY_PLACE", Message: "want a receipt, or an index from 0"}
	ErrEntryFilter  = &Error{Kind: Invalid, Reason: "ENTRY_FILTER", Message: "want a SPIFFE id of a principal, the name of an action, allow or deny"}
	ErrNoCheckpoint = &Error{Kind: Unavailable, Reason: "NO_CHECKPOINT", Message: "the audit log has no checkpoint yet; try again"}
	ErrTreeSize     = &Error{Kind: Invalid, Reason: "TREE_SIZE", Message: "want 1 up to the size of the newest checkpoint, the smaller tree first"}
	ErrLogRange     = &Error{Kind: Invalid, Reason: "LOG_RANGE", Message: "want a start from 0, and an end that is 0 or no smaller"}

	ErrKeyRowsTime = &Error{Kind: Exhausted, Reason: "KEY_ROWS_TIME", Message: "counting the rows of the keys takes longer than 20 seconds; ask for fewer keys, or for no rows"}
	ErrKeyRowsBusy = &Error{Kind: Unavailable, Reason: "KEY_ROWS_BUSY", Message: "the rows of the keys are being counted for another call; try again"}

	// ErrAuditLog refuses every call: the audit log in the store was rolled back or
	// forked, so nothing that is recorded now could be proven (P9).
	ErrAuditLog = &Error{Kind: Unavailable, Reason: "AUDIT_LOG_BROKEN", Message: "the audit log in the database is not the one that this server wrote; the operators find details in the server's log"}

	// ErrIntegrity answers a row that does not open in its place (P5). The server
	// logs an alarm; the caller learns nothing more.
	ErrIntegrity = &Error{Kind: Internal, Reason: "INTEGRITY", Message: "internal error"}
	// ErrKeysUnavailable: the KEK cannot be reached and no cached key is young enough (P11).
	ErrKeysUnavailable = &Error{Kind: Unavailable, Reason: "KEYS_UNAVAILABLE", Message: "keys are not available; try again"}
	// ErrStoreUnavailable: nothing is known to have been recorded, so nothing is answered (P3).
	ErrStoreUnavailable = &Error{Kind: Unavailable, Reason: "STORE_UNAVAILABLE", Message: "the store is not available; repeat with the same request id"}
	ErrInternal         = &Error{Kind: Internal, Reason: "INTERNAL", Message: "internal error"}
)
