package server

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// foreignPAN is published for testing by card networks and belongs to nobody.
const foreignPAN = "4111111111111111"

// office has a client for each of the demo's principals.
type office struct {
	*site
	issuer, payments, support pb.CardServiceClient
	tokens                    pb.TokenServiceClient
	ranges                    pb.BinRangeServiceClient
	audit                     pb.AuditServiceClient
}

func newOffice(t *testing.T) *office {
	t.Helper()
	s := newSite(t)
	issuer := s.dial(t, "issuer")
	o := &office{
		site: s, issuer: pb.NewCardServiceClient(issuer), tokens: pb.NewTokenServiceClient(issuer),
		payments: pb.NewCardServiceClient(s.dial(t, "payments")), support: pb.NewCardServiceClient(s.dial(t, "support")),
		ranges: pb.NewBinRangeServiceClient(s.dial(t, "security")), audit: pb.NewAuditServiceClient(s.dial(t, "auditor")),
	}
	_, err := o.ranges.CreateBinRange(t.Context(), &pb.CreateBinRangeRequest{BinRange: &pb.BinRange{
		Id: "demo", Prefix: "99990000001", PanLength: 16, ValidityMonths: 36,
		Reserved: []*pb.BinRange_Interval{{First: "0000", Last: "0009"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// results returns what the audit log says came of an action, oldest first.
func (o *office) results(t *testing.T, action string) []string {
	t.Helper()
	listed, err := o.audit.ListEntries(t.Context(), &pb.ListEntriesRequest{PageSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var results []string
	for _, e := range listed.GetEntries() {
		if e.GetAction() == action {
			results = append(results, e.GetResult())
		}
	}
	return results
}

func (o *office) issue(t *testing.T) *pb.IssueCardResponse {
	t.Helper()
	issued, err := o.issuer.IssueCard(t.Context(), &pb.IssueCardRequest{BinRange: "demo", RequestId: uuid.NewString()})
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

// reasonOf returns the stable reason of a refusal.
func reasonOf(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return "OK"
	}
	info, _ := details(t, err)
	return info.GetReason()
}

// must is a call that has to succeed.
func must[R any](t *testing.T) func(response R, err error) R {
	t.Helper()
	return func(response R, err error) R {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
}

func TestLifeOfACard(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	issued := o.issue(t)
	card := issued.GetCard()
	if card.GetState() != pb.Card_STATE_ACTIVE || card.GetOrigin() != pb.Card_ORIGIN_ISSUED || card.GetBinRange() != "demo" ||
		len(card.GetLastFour()) != 4 || !card.GetCreateTime().AsTime().Equal(o.clock.Now().UTC().Truncate(time.Microsecond)) {
		t.Errorf("issued %v", card)
	}
	if expires := o.clock.Now().UTC().AddDate(0, 36, 1-o.clock.Now().UTC().Day()); card.GetExpiry().GetYear() != int32(expires.Year()) ||
		card.GetExpiry().GetMonth() != int32(expires.Month()) {
		t.Errorf("expires %v, want after the rule of its range, %v", card.GetExpiry(), expires)
	}
	if _, err := uuid.Parse(issued.GetReceipt().GetReplica()); err != nil || issued.GetReceipt().GetNumber() == 0 {
		t.Errorf("receipt %v", issued.GetReceipt())
	}

	got := must[*pb.GetCardResponse](t)(o.issuer.GetCard(ctx, &pb.GetCardRequest{Id: card.GetId()}))
	if diff := cmp.Diff(card, got.GetCard(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	suspended := must[*pb.SuspendCardResponse](t)(o.issuer.SuspendCard(ctx, &pb.SuspendCardRequest{Id: card.GetId()}))
	resumed := must[*pb.ResumeCardResponse](t)(o.issuer.ResumeCard(ctx, &pb.ResumeCardRequest{Id: card.GetId()}))
	later := &pb.Expiry{Year: card.GetExpiry().GetYear() + 3, Month: 12}
	renewed := must[*pb.RenewCardResponse](t)(o.issuer.RenewCard(ctx, &pb.RenewCardRequest{Id: card.GetId(), Expiry: later}))
	closed := must[*pb.CloseCardResponse](t)(o.issuer.CloseCard(ctx, &pb.CloseCardRequest{Id: card.GetId()}))
	if suspended.GetCard().GetState() != pb.Card_STATE_SUSPENDED || resumed.GetCard().GetState() != pb.Card_STATE_ACTIVE ||
		!proto.Equal(renewed.GetCard().GetExpiry(), later) || closed.GetCard().GetState() != pb.Card_STATE_CLOSED {
		t.Errorf("suspended %v\nresumed %v\nrenewed %v\nclosed %v", suspended, resumed, renewed, closed)
	}
	_, err := o.issuer.ResumeCard(ctx, &pb.ResumeCardRequest{Id: card.GetId()})
	if reasonOf(t, err) != "CARD_CLOSED" || status.Code(err) != codes.FailedPrecondition {
		t.Errorf("resume a closed card: %v", err)
	}
	if deleted := must[*pb.DeleteCardResponse](t)(o.issuer.DeleteCard(ctx, &pb.DeleteCardRequest{Id: card.GetId()})); deleted.GetReceipt() == nil {
		t.Error("deleted without a receipt")
	}
	if _, err := o.issuer.GetCard(ctx, &pb.GetCardRequest{Id: card.GetId()}); reasonOf(t, err) != "CARD_NOT_FOUND" {
		t.Errorf("get a deleted card: %v", err)
	}
}

func TestViews(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	tokenized := must[*pb.TokenizeCardResponse](t)(o.issuer.TokenizeCard(ctx, &pb.TokenizeCardRequest{
		Pan: foreignPAN, Expiry: &pb.Expiry{Year: 2090, Month: 2}, RequestId: uuid.NewString(),
	}))
	if tokenized.GetExisting() || tokenized.GetCard().GetOrigin() != pb.Card_ORIGIN_TOKENIZED || tokenized.GetCard().GetLastFour() != "1111" {
		t.Errorf("tokenized %v", tokenized)
	}
	again := must[*pb.TokenizeCardResponse](t)(o.issuer.TokenizeCard(ctx, &pb.TokenizeCardRequest{Pan: foreignPAN, Expiry: &pb.Expiry{Year: 2090, Month: 2}}))
	if !again.GetExisting() || again.GetToken() != tokenized.GetToken() {
		t.Error("the same PAN gives another token")
	}
	full := must[*pb.DetokenizeCardResponse](t)(o.payments.DetokenizeCard(ctx, &pb.DetokenizeCardRequest{
		Token: tokenized.GetToken(), Purpose: "settlement", View: pb.View_VIEW_FULL,
	}))
	if full.GetPan() != foreignPAN || full.GetMaskedPan() != "" || full.GetLastFour() != "" || full.GetExpiry().GetYear() != 2090 ||
		full.GetExpiry().GetMonth() != 2 || full.GetCardId() != tokenized.GetCard().GetId() || full.GetReceipt() == nil {
		t.Errorf("full view of card %s without what belongs to it", full.GetCardId())
	}
	last := must[*pb.DetokenizeCardResponse](t)(o.support.DetokenizeCard(ctx, &pb.DetokenizeCardRequest{
		Token: tokenized.GetToken(), Purpose: "support", View: pb.View_VIEW_LAST_FOUR,
	}))
	if last.GetLastFour() != "1111" || last.GetPan() != "" || last.GetMaskedPan() != "" {
		t.Error("the view of the last four shows something else")
	}
	for name, tt := range map[string]struct {
		request *pb.DetokenizeCardRequest
		reason  string
	}{
		"full for support": {&pb.DetokenizeCardRequest{Token: tokenized.GetToken(), Purpose: "support", View: pb.View_VIEW_FULL}, "PERMISSION_DENIED"},
		"no view":          {&pb.DetokenizeCardRequest{Token: tokenized.GetToken(), Purpose: "support"}, "VIEW_REQUIRED"},
		"unknown view":     {&pb.DetokenizeCardRequest{Token: tokenized.GetToken(), Purpose: "support", View: 99}, "VIEW_REQUIRED"},
		"no purpose":       {&pb.DetokenizeCardRequest{Token: tokenized.GetToken(), View: pb.View_VIEW_LAST_FOUR}, "PURPOSE_REQUIRED"},
	} {
		if _, err := o.support.DetokenizeCard(ctx, tt.request); reasonOf(t, err) != tt.reason {
			t.Errorf("%s: %v, want %s", name, err, tt.reason)
		}
		if recorded := o.results(t, "DetokenizeCard"); recorded[len(recorded)-1] != tt.reason {
			t.Errorf("%s: recorded %v, want the last to be %s", name, recorded, tt.reason)
		}
	}
	if strings.Contains(o.log.String(), foreignPAN) {
		t.Error("the PAN is in the log")
	}
}

func TestPANLeavesItsMessage(t *testing.T) {
	message := &pb.TokenizeCardRequest{Pan: foreignPAN}
	request := tokenizeRequest(message)
	if message.GetPan() != "" || string(request.PAN.Reveal()) != foreignPAN {
		t.Error("the message still holds the PAN, or the request does not")
	}
}

// TestMaskedView needs a policy that allows it to someone.
func TestMaskedView(t *testing.T) {
	o := newOffice(t)
	o.allow(t, "issuer", `context.view == View::"MASKED"`)
	tokenized := must[*pb.TokenizeCardResponse](t)(o.issuer.TokenizeCard(t.Context(), &pb.TokenizeCardRequest{Pan: foreignPAN, Expiry: &pb.Expiry{Year: 2090, Month: 2}}))
	masked := must[*pb.DetokenizeCardResponse](t)(o.issuer.DetokenizeCard(t.Context(), &pb.DetokenizeCardRequest{
		Token: tokenized.GetToken(), Purpose: "receipt", View: pb.View_VIEW_MASKED,
	}))
	if masked.GetMaskedPan() != "411111******1111" || masked.GetPan() != "" || masked.GetLastFour() != "" {
		t.Errorf("masked %q", masked.GetMaskedPan())
	}
}

func TestBatchesTellEachItemItsStatus(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	issued := must[*pb.BatchIssueCardsResponse](t)(o.issuer.BatchIssueCards(ctx, &pb.BatchIssueCardsRequest{Requests: []*pb.IssueCardRequest{
		{BinRange: "demo"}, {BinRange: "elsewhere"}, {BinRange: "demo", Expiry: &pb.Expiry{Year: 2001, Month: 1}}, {BinRange: "demo"},
	}})).GetResults()
	if issued[0].GetResponse().GetToken() == "" || issued[1].GetError().GetReason() != "BIN_RANGE_NOT_FOUND" ||
		issued[2].GetError().GetReason() != "EXPIRY_PAST" || issued[3].GetResponse().GetToken() == "" {
		t.Errorf("issued %v", issued)
	}
	expiry := &pb.Expiry{Year: 2090, Month: 2}
	tokenized := must[*pb.BatchTokenizeCardsResponse](t)(o.issuer.BatchTokenizeCards(ctx, &pb.BatchTokenizeCardsRequest{Requests: []*pb.TokenizeCardRequest{
		{Pan: "4111111111111112", Expiry: expiry}, {Pan: foreignPAN, Expiry: expiry}, {Pan: "4111 1111 1111 1111", Expiry: expiry},
	}})).GetResults()
	if e := tokenized[0].GetError(); e.GetReason() != "PAN_CHECK_DIGIT" || e.GetField() != "pan" || e.GetCode() != int32(codes.InvalidArgument) {
		t.Errorf("wrong check digit: %v", e)
	}
	if tokenized[1].GetResponse().GetCard().GetLastFour() != "1111" || tokenized[2].GetError().GetReason() != "PAN_DIGIT" {
		t.Errorf("tokenized %v", tokenized[1:])
	}
	read := must[*pb.BatchDetokenizeCardsResponse](t)(o.payments.BatchDetokenizeCards(ctx, &pb.BatchDetokenizeCardsRequest{
		Tokens: []string{"nonsense", tokenized[1].GetResponse().GetToken()}, Purpose: "settlement", View: pb.View_VIEW_FULL,
	})).GetResults()
	if read[0].GetError().GetReason() != "TOKEN_MALFORMED" || read[1].GetResponse().GetPan() != foreignPAN {
		t.Error("batch detokenize: items are not in order, or one bad item failed another")
	}
	for name, size := range map[string]int{"no item": 0, "one too many": 1001} {
		_, err := o.issuer.BatchIssueCards(ctx, &pb.BatchIssueCardsRequest{Requests: slices.Repeat([]*pb.IssueCardRequest{{BinRange: "demo"}}, size)})
		if reasonOf(t, err) != "BATCH_SIZE" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLargestBatchPasses: what the limits allow to ask, they also allow to arrive.
func TestLargestBatchPasses(t *testing.T) {
	o := newOffice(t)
	principals := make([]string, 16)
	for i := range principals {
		principals[i] = strings.Repeat("p", 63)
	}
	requests := make([]*pb.TokenizeCardRequest, 1000)
	for i := range requests {
		requests[i] = &pb.TokenizeCardRequest{
			RequestId: uuid.NewString(), Pan: "9999999999999999999", Expiry: &pb.Expiry{Year: 2099, Month: 12},
			Token: &pb.TokenOptions{Format: pb.TokenFormat_TOKEN_FORMAT_DIGITS, KeepLastFour: true, Ttl: durationpb.New(1e9), SingleUse: true, Principals: principals},
		}
	}
	_, err := o.issuer.BatchTokenizeCards(t.Context(), &pb.BatchTokenizeCardsRequest{Requests: requests})
	if err != nil {
		t.Errorf("%d bytes: %v", proto.Size(&pb.BatchTokenizeCardsRequest{Requests: requests}), err)
	}
}

func TestTokens(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	card := o.issue(t).GetCard().GetId()
	created := must[*pb.CreateTokenResponse](t)(o.tokens.CreateToken(ctx, &pb.CreateTokenRequest{CardId: card, Options: &pb.TokenOptions{
		Format: pb.TokenFormat_TOKEN_FORMAT_DIGITS, KeepLastFour: true, Ttl: durationpb.New(time.Hour), SingleUse: true, Principals: []string{"payments"},
	}})).GetToken()
	options := created.GetOptions()
	if options.GetFormat() != pb.TokenFormat_TOKEN_FORMAT_DIGITS || !options.GetKeepLastFour() || !options.GetSingleUse() ||
		!slices.Equal(options.GetPrincipals(), []string{"payments"}) || created.GetCardId() != card || created.GetUsed() ||
		!created.GetExpireTime().AsTime().Equal(o.clock.Now().UTC().Add(time.Hour).Truncate(time.Microsecond)) {
		t.Errorf("created %v", created)
	}
	detokenize := &pb.DetokenizeCardRequest{Token: created.GetToken(), Purpose: "settlement", View: pb.View_VIEW_FULL}
	must[*pb.DetokenizeCardResponse](t)(o.payments.DetokenizeCard(ctx, detokenize))
	listed := must[*pb.ListTokensResponse](t)(o.tokens.ListTokens(ctx, &pb.ListTokensRequest{CardId: card})).GetTokens()
	if len(listed) != 2 || listed[0].GetExpireTime() != nil || !listed[1].GetUsed() {
		t.Errorf("listed %v, want the standing token, then the used one", listed)
	}
	if _, err := o.payments.DetokenizeCard(ctx, detokenize); reasonOf(t, err) != "TOKEN_USED" {
		t.Errorf("used twice: %v", err)
	}
	must[*pb.RevokeTokenResponse](t)(o.tokens.RevokeToken(ctx, &pb.RevokeTokenRequest{Token: created.GetToken()}))
	if _, err := o.payments.DetokenizeCard(ctx, detokenize); reasonOf(t, err) != "TOKEN_NOT_FOUND" {
		t.Errorf("revoked: %v", err)
	}
}

// TestRestrictionsThatSayNothing: a client that asks for a restriction in a way
// that means nothing gets an error, not a token without it.
func TestRestrictionsThatSayNothing(t *testing.T) {
	o := newOffice(t)
	card := o.issue(t).GetCard().GetId()
	for name, options := range map[string]*pb.TokenOptions{
		"ttl 0":          {Ttl: &durationpb.Duration{}},
		"ttl negative":   {Ttl: durationpb.New(-time.Hour)},
		"ttl malformed":  {Ttl: &durationpb.Duration{Seconds: 1, Nanos: -1}},
		"ttl endless":    {Ttl: &durationpb.Duration{Seconds: 1 << 62}},
		"unknown format": {Format: 99},
	} {
		_, err := o.tokens.CreateToken(t.Context(), &pb.CreateTokenRequest{CardId: card, Options: options})
		if reasonOf(t, err) != "TOKEN_OPTIONS" {
			t.Errorf("%s: %v, want TOKEN_OPTIONS", name, err)
		}
	}
}

func TestBinRanges(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	o.issue(t)
	got := must[*pb.GetBinRangeResponse](t)(o.ranges.GetBinRange(ctx, &pb.GetBinRangeRequest{Id: "demo"})).GetBinRange()
	want := &pb.BinRange{
		Id: "demo", Prefix: "99990000001", PanLength: 16, First: "0000", Last: "9999", ValidityMonths: 36,
		Reserved: []*pb.BinRange_Interval{{First: "0000", Last: "0009"}}, State: pb.BinRange_STATE_ACTIVE,
		Capacity: 10000, Issued: got.GetIssued(), Live: 1, Fill: float64(got.GetIssued()) / 10000, GuessHitRate: 1.0 / 10000,
		CreateTime: timestamppb.New(o.clock.Now().UTC().Truncate(time.Microsecond)),
	}
	if diff := cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreFields(want, "days_to_exhaustion")); diff != "" || got.GetIssued() < 1 {
		t.Error(diff)
	}
	o.clock.Advance(24 * time.Hour)
	paused := must[*pb.PauseBinRangeResponse](t)(o.ranges.PauseBinRange(ctx, &pb.PauseBinRangeRequest{Id: "demo"})).GetBinRange()
	if paused.GetState() != pb.BinRange_STATE_PAUSED || paused.DaysToExhaustion == nil || paused.GetDaysToExhaustion() <= 0 {
		t.Errorf("paused after a day: %v", paused)
	}
	if _, err := o.issuer.IssueCard(ctx, &pb.IssueCardRequest{BinRange: "demo"}); reasonOf(t, err) != "BIN_RANGE_PAUSED" {
		t.Errorf("issue from a paused range: %v", err)
	}
	resumed := must[*pb.ResumeBinRangeResponse](t)(o.ranges.ResumeBinRange(ctx, &pb.ResumeBinRangeRequest{Id: "demo"})).GetBinRange()
	if resumed.GetState() != pb.BinRange_STATE_ACTIVE {
		t.Errorf("resumed: %v", resumed)
	}
	listed := must[*pb.ListBinRangesResponse](t)(o.ranges.ListBinRanges(ctx, &pb.ListBinRangesRequest{})).GetBinRanges()
	if len(listed) != 1 || listed[0].GetId() != "demo" {
		t.Errorf("listed %v", listed)
	}
	if _, err := o.ranges.CreateBinRange(ctx, &pb.CreateBinRangeRequest{}); reasonOf(t, err) == "OK" {
		t.Error("made a range of nothing")
	}
}

func TestPages(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	ids := map[string]bool{}
	for range 5 {
		ids[o.issue(t).GetCard().GetId()] = true
	}
	for token, pages := "", 0; ; pages++ {
		page := must[*pb.ListCardsResponse](t)(o.issuer.ListCards(ctx, &pb.ListCardsRequest{PageSize: 2, PageToken: token}))
		for _, card := range page.GetCards() {
			delete(ids, card.GetId())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
		if pages > 5 {
			t.Fatal("no end of pages")
		}
	}
	if len(ids) != 0 {
		t.Errorf("%d cards are on no page", len(ids))
	}
}

func TestAuditEntries(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	issued := o.issue(t)
	listed := must[*pb.ListEntriesResponse](t)(o.audit.ListEntries(ctx, &pb.ListEntriesRequest{}))
	i := slices.IndexFunc(listed.GetEntries(), func(e *pb.Entry) bool { return e.GetAction() == "IssueCard" })
	if i < 0 {
		t.Fatal("issuing has no entry")
	}
	entry := listed.GetEntries()[i]
	if !proto.Equal(entry.GetReceipt(), issued.GetReceipt()) || entry.GetPrincipal() != issuerID || entry.GetTenant() != "demo" ||
		entry.GetDecision() != "allow" || entry.GetPolicy() != "issuer-cards" || entry.GetBinRange() != "demo" ||
		entry.GetCardId() != issued.GetCard().GetId() || entry.GetResult() != "OK" || entry.GetRequestId() == "" ||
		entry.GetKeyId() == "" || len(entry.GetBody()) == 0 || len(entry.GetCertificateSerial()) < 16 {
		t.Errorf("entry %v", entry)
	}
	later := must[*pb.ListEntriesResponse](t)(o.audit.ListEntries(ctx, &pb.ListEntriesRequest{StartTime: timestamppb.New(o.clock.Now().Add(time.Hour))}))
	if n := len(later.GetEntries()); n != 0 {
		t.Errorf("%d entries from the future", n)
	}
	_, err := o.audit.ListEntries(ctx, &pb.ListEntriesRequest{StartTime: &timestamppb.Timestamp{Seconds: 1 << 60}})
	if reasonOf(t, err) != "TIMESTAMP_INVALID" {
		t.Errorf("start beyond all time: %v", err)
	}
	if got := o.results(t, "ListEntries"); !slices.Contains(got, "TIMESTAMP_INVALID") {
		t.Errorf("the refusal is not recorded: %v", got)
	}
}
