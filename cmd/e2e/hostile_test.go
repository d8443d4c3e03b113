package e2e

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// hostile is what must not be kept where it does not belong, made from a PAN.
func hostile(pan string) map[string]string {
	return map[string]string{
		"PAN":             pan,
		"PAN in groups":   grouped(pan, " "),
		"PAN in a name":   "card-" + pan,
		"mistyped PAN":    mistyped(pan),
		"track 1":         "%B" + pan + "^DOE/JOHN^30121010000000000000?",
		"track 2":         ";" + pan + "=30121010000000000000?",
		"PAN and code":    pan + " 123",
		"PAN in an URL":   "https://shop.example.com/?card=" + pan,
		"PAN, full width": fullWidth(pan),
	}
}

// mistyped changes the check digit.
func mistyped(pan string) string {
	last := pan[len(pan)-1]
	return pan[:len(pan)-1] + string('0'+(last-'0'+1)%10)
}

func fullWidth(digits string) string {
	var wide []rune
	for _, d := range digits {
		wide = append(wide, '０'+d-'0')
	}
	return string(wide)
}

// callers say who may call a method, so that it is not policy that refuses what a method has to.
func callerOf(method protoreflect.MethodDescriptor) string {
	switch {
	case method.Parent().Name() == "BinRangeService":
		return "security"
	case method.Parent().Name() == "AuditService":
		return "auditor"
	case method.Parent().Name() == "KeyService":
		return "staff-security"
	case method.Name() == "DetokenizeCard", method.Name() == "BatchDetokenizeCards":
		return "payments"
	default:
		return "issuer"
	}
}

// template is a request that a method would take, so that nothing is wrong with it but what is put in.
func template(method protoreflect.Name, card *cardvaultv1.IssueCardResponse) proto.Message {
	id, options := card.GetCard().GetId(), &cardvaultv1.TokenOptions{Principals: []string{"payments"}}
	issue := &cardvaultv1.IssueCardRequest{RequestId: uuid.NewString(), BinRange: "debit", Expiry: inTwoYears(), Token: options}
	tokenize := &cardvaultv1.TokenizeCardRequest{RequestId: uuid.NewString(), Pan: wellKnown[0], Expiry: inTwoYears(), Token: options}
	switch method {
	case "IssueCard":
		return issue
	case "BatchIssueCards":
		return &cardvaultv1.BatchIssueCardsRequest{Requests: []*cardvaultv1.IssueCardRequest{issue}}
	case "TokenizeCard":
		return tokenize
	case "BatchTokenizeCards":
		return &cardvaultv1.BatchTokenizeCardsRequest{Requests: []*cardvaultv1.TokenizeCardRequest{tokenize}}
	case "DetokenizeCard":
		return &cardvaultv1.DetokenizeCardRequest{Token: card.GetToken(), Purpose: "settlement", View: full}
	case "BatchDetokenizeCards":
		return &cardvaultv1.BatchDetokenizeCardsRequest{Tokens: []string{card.GetToken()}, Purpose: "settlement", View: full}
	case "CreateToken":
		return &cardvaultv1.CreateTokenRequest{RequestId: uuid.NewString(), CardId: id, Options: options}
	case "CreateBinRange":
		return &cardvaultv1.CreateBinRangeRequest{RequestId: uuid.NewString(), BinRange: &cardvaultv1.BinRange{
			Id: "other", Prefix: "95000000", PanLength: 16, ValidityMonths: 36, First: "0000000", Last: "0000009",
			Reserved: []*cardvaultv1.BinRange_Interval{{First: "0000000", Last: "0000001"}},
		}}
	default:
		return nil
	}
}

// eachField calls put for every text field of a message, however deep, with a function that sets it.
func eachField(m protoreflect.Message, path string, put func(path string, set func(string))) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		at := path + "." + string(field.Name())
		switch {
		case field.Kind() == protoreflect.StringKind && field.IsList():
			put(at, func(text string) {
				list := m.NewField(field).List()
				list.Append(protoreflect.ValueOfString(text))
				m.Set(field, protoreflect.ValueOfList(list))
			})
		case field.Kind() == protoreflect.StringKind:
			put(at, func(text string) { m.Set(field, protoreflect.ValueOfString(text)) })
		case field.Kind() != protoreflect.MessageKind:
		case field.IsList() && m.Get(field).List().Len() > 0:
			eachField(m.Mutable(field).List().Get(0).Message(), at, put)
		case !field.IsList() && m.Has(field):
			eachField(m.Mutable(field).Message(), at, put)
		}
	}
}

// sendHostile puts card data of every kind into every text field of every method, and into fields, methods, metadata
// and bytes that no method has. It fails the test where one is taken, or where an answer repeats it.
func sendHostile(t *testing.T, r *replica, card *cardvaultv1.IssueCardResponse, pan string) {
	t.Helper()
	s := newScanner(pan, mistyped(pan))
	calls := 0
	for _, method := range allMethods(t) {
		c := r.as(t, callerOf(method))
		name := fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name())
		send := func(what string, request proto.Message) {
			calls++
			answer := newMessage(t, method.Output())
			err := c.conn.Invoke(metadata.AppendToOutgoingContext(t.Context(), "x-card", pan), name, request, answer)
			if err == nil && !refusesItem(answer) {
				t.Errorf("%s: taken", what)
			}
			text, _ := proto.Marshal(status.Convert(err).Proto())
			s.clean(t, "the error of "+what, text)
			text, _ = proto.Marshal(answer)
			s.clean(t, "the answer to "+what, text)
		}
		blank := template(method.Name(), card)
		if blank == nil {
			blank = newMessage(t, method.Input())
		}
		eachField(blank.ProtoReflect(), string(method.Name()), func(path string, _ func(string)) {
			for kind, text := range hostile(pan) {
				if method.Input().Name() == "TokenizeCardRequest" && kind == "PAN" && path == "TokenizeCard.pan" ||
					kind == "PAN" && path == "BatchTokenizeCards.requests.pan" {
					continue // here it belongs
				}
				request := proto.Clone(blank)
				eachField(request.ProtoReflect(), string(method.Name()), func(at string, set func(string)) {
					if at == path {
						set(text)
					}
				})
				send(kind+" in "+path, request)
			}
		})
		request := proto.Clone(blank)
		request.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 100, protowire.BytesType), pan))
		send("an unknown field of "+name, request)
	}
	if calls < 300 {
		t.Errorf("%d calls only: have the fields been found?", calls)
	}
	issuer := r.as(t, "issuer")
	for what, invoke := range map[string]func() error{
		"a method's name": func() error {
			return issuer.conn.Invoke(t.Context(), "/cardvault.v1.CardService/"+pan, &cardvaultv1.GetCardRequest{}, &cardvaultv1.GetCardResponse{})
		},
		"a service's name": func() error {
			return issuer.conn.Invoke(t.Context(), "/"+pan+"/GetCard", &cardvaultv1.GetCardRequest{}, &cardvaultv1.GetCardResponse{})
		},
		"bytes that are no message": func() error {
			return issuer.conn.Invoke(t.Context(), "/cardvault.v1.CardService/TokenizeCard", []byte(pan), new([]byte), grpc.ForceCodec(bytesCodec{}))
		},
	} {
		err := invoke()
		if err == nil {
			t.Errorf("%s: taken", what)
		}
		text, _ := proto.Marshal(status.Convert(err).Proto())
		s.clean(t, "the error of "+what, text)
	}
}

// refusesItem reports whether the answer of a batch refuses its one item.
func refusesItem(answer proto.Message) bool {
	switch a := answer.(type) {
	case *cardvaultv1.BatchIssueCardsResponse:
		return a.GetResults()[0].GetError() != nil
	case *cardvaultv1.BatchTokenizeCardsResponse:
		return a.GetResults()[0].GetError() != nil
	case *cardvaultv1.BatchDetokenizeCardsResponse:
		return a.GetResults()[0].GetError() != nil
	default:
		return false
	}
}

func allMethods(t *testing.T) []protoreflect.MethodDescriptor {
	t.Helper()
	var methods []protoreflect.MethodDescriptor
	for _, file := range []protoreflect.FileDescriptor{
		cardvaultv1.File_cardvault_v1_cards_proto, cardvaultv1.File_cardvault_v1_tokens_proto,
		cardvaultv1.File_cardvault_v1_bin_ranges_proto, cardvaultv1.File_cardvault_v1_audit_proto, cardvaultv1.File_cardvault_v1_keys_proto,
	} {
		for i := range file.Services().Len() {
			all := file.Services().Get(i).Methods()
			for k := range all.Len() {
				methods = append(methods, all.Get(k))
			}
		}
	}
	return methods
}

func newMessage(t *testing.T, of protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(of.FullName())
	if err != nil {
		t.Fatal(err)
	}
	return kind.New().Interface()
}

// bytesCodec sends bytes as they are.
type bytesCodec struct{}

var _ encoding.Codec = bytesCodec{}

func (bytesCodec) Marshal(v any) ([]byte, error) { return v.([]byte), nil } //nolint:forcetypeassert // the one call sends bytes

func (bytesCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = data //nolint:forcetypeassert // as above
	return nil
}

func (bytesCodec) Name() string { return "proto" }
