package server

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault"
)

// A function ending in Of reads a message as the vault's type, one ending in To
// writes it. What a message says wrongly is passed on as something that the vault
// refuses, so that the refusal is recorded.

func each[A, B any](in []A, f func(A) B) []B {
	if len(in) == 0 {
		return nil
	}
	out := make([]B, len(in))
	for i := range in {
		out[i] = f(in[i])
	}
	return out
}

func receiptTo(r vault.Receipt) *pb.Receipt {
	return &pb.Receipt{Replica: r.Replica.String(), Number: r.Number}
}

// monthOf returns nil where the message is absent.
func monthOf(e *pb.Expiry) *vault.Month {
	if e == nil {
		return nil
	}
	return &vault.Month{Year: int(e.GetYear()), Month: int(e.GetMonth())}
}

func expiryTo(e vault.Expiry) *pb.Expiry {
	return &pb.Expiry{Year: int32(e.Year()), Month: int32(e.Month())} //nolint:gosec // a month of 2000–2099
}

// viewOf returns the zero View, which is refused, for one that it does not know.
func viewOf(v pb.View) vault.View {
	switch v {
	case pb.View_VIEW_LAST_FOUR:
		return vault.LastFour
	case pb.View_VIEW_MASKED:
		return vault.Masked
	case pb.View_VIEW_FULL:
		return vault.Full
	default:
		return 0
	}
}

// optionsOf reads the options of a token. A restriction that is there but says
// nothing, such as a ttl of 0, must not turn into no restriction.
func optionsOf(o *pb.TokenOptions) vault.TokenOptions {
	options := vault.TokenOptions{
		Format: formatOf(o.GetFormat()), KeepLastFour: o.GetKeepLastFour(),
		SingleUse: o.GetSingleUse(), Principals: o.GetPrincipals(),
	}
	if ttl := o.GetTtl(); ttl != nil {
		options.TTL = ttl.AsDuration()
		if options.TTL == 0 || ttl.CheckValid() != nil {
			options.TTL = refusedTTL
		}
	}
	return options
}

const (
	refusedTTL    time.Duration     = -1
	refusedFormat vault.TokenFormat = -1
)

func formatOf(f pb.TokenFormat) vault.TokenFormat {
	switch f {
	case pb.TokenFormat_TOKEN_FORMAT_UNSPECIFIED, pb.TokenFormat_TOKEN_FORMAT_OPAQUE:
		return vault.OpaqueToken
	case pb.TokenFormat_TOKEN_FORMAT_DIGITS:
		return vault.DigitToken
	default:
		return refusedFormat
	}
}

func optionsTo(o vault.TokenOptions) *pb.TokenOptions {
	options := &pb.TokenOptions{
		Format: pb.TokenFormat_TOKEN_FORMAT_OPAQUE, KeepLastFour: o.KeepLastFour,
		SingleUse: o.SingleUse, Principals: o.Principals,
	}
	if o.Format == vault.DigitToken {
		options.Format = pb.TokenFormat_TOKEN_FORMAT_DIGITS
	}
	if o.TTL != 0 {
		options.Ttl = durationpb.New(o.TTL)
	}
	return options
}

func tokenTo(t vault.Token) *pb.Token {
	return &pb.Token{
		Token: t.Token, CardId: t.CardID.String(), Options: optionsTo(t.Options),
		ExpireTime: timeTo(t.Expires), Used: t.Used, CreateTime: timestamppb.New(t.Created),
	}
}

// timeTo leaves the zero time out.
func timeTo(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func cardTo(c vault.Card) *pb.Card {
	return &pb.Card{
		Id: c.ID.String(), State: cardStateTo(c.State), Expiry: expiryTo(c.Expiry), LastFour: c.LastFour,
		Origin: originTo(c.Origin), BinRange: c.BINRange, CreateTime: timestamppb.New(c.Created),
	}
}

// cardStateTo has no name for a deleted card: none is ever shown.
func cardStateTo(s vault.CardState) pb.Card_State {
	switch s {
	case vault.CardActive:
		return pb.Card_STATE_ACTIVE
	case vault.CardSuspended:
		return pb.Card_STATE_SUSPENDED
	case vault.CardClosed:
		return pb.Card_STATE_CLOSED
	default:
		return pb.Card_STATE_UNSPECIFIED
	}
}

func originTo(o vault.Origin) pb.Card_Origin {
	switch o {
	case vault.Issued:
		return pb.Card_ORIGIN_ISSUED
	case vault.Tokenized:
		return pb.Card_ORIGIN_TOKENIZED
	default:
		return pb.Card_ORIGIN_UNSPECIFIED
	}
}
