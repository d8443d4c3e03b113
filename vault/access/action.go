package access

// Action is what a caller asks to do: the name of an RPC. Any but those below is
// denied.
type Action string

// The actions.
const (
	IssueCard      Action = "IssueCard"
	TokenizeCard   Action = "TokenizeCard"
	DetokenizeCard Action = "DetokenizeCard" //nolint:gosec // G101 takes the name of an RPC for a credential.
	GetCard        Action = "GetCard"
	ListCards      Action = "ListCards"
	SuspendCard    Action = "SuspendCard"
	ResumeCard     Action = "ResumeCard"
	CloseCard      Action = "CloseCard"
	RenewCard      Action = "RenewCard"
	DeleteCard     Action = "DeleteCard"

	CreateToken Action = "CreateToken"
	ListTokens  Action = "ListTokens"
	RevokeToken Action = "RevokeToken"

	CreateBinRange Action = "CreateBinRange"
	GetBinRange    Action = "GetBinRange"
	ListBinRanges  Action = "ListBinRanges"
	PauseBinRange  Action = "PauseBinRange"
	ResumeBinRange Action = "ResumeBinRange"

	ListEntries         Action = "ListEntries"
	GetCheckpoint       Action = "GetCheckpoint"
	GetEntry            Action = "GetEntry"
	GetInclusionProof   Action = "GetInclusionProof"
	GetConsistencyProof Action = "GetConsistencyProof"
	ReadLog             Action = "ReadLog"

	ListKeys Action = "ListKeys"
)

// Actions returns every action, in the order in which people expect them.
func Actions() []Action {
	return []Action{
		IssueCard, TokenizeCard, DetokenizeCard, GetCard, ListCards,
		SuspendCard, ResumeCard, CloseCard, RenewCard, DeleteCard,
		CreateToken, ListTokens, RevokeToken,
		CreateBinRange, GetBinRange, ListBinRanges, PauseBinRange, ResumeBinRange,
		ListEntries, GetCheckpoint, GetEntry, GetInclusionProof, GetConsistencyProof, ReadLog,
		ListKeys,
	}
}

// forStaff reports whether the deployment's staff may ever do this: nothing that
// touches a card.
func (a Action) forStaff() bool {
	switch a {
	case GetCheckpoint, GetEntry, GetInclusionProof, GetConsistencyProof, ReadLog, ListKeys:
		return true
	default:
		return false
	}
}

// forTenants reports whether a tenant's callers may ever do this: nothing that
// shows what is another tenant's.
func (a Action) forTenants() bool { return a != ReadLog && a != ListKeys }
