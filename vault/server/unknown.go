package server

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// hasUnknownFields reports whether a message, or one inside it, came with a field
// that its .proto file does not have. protobuf keeps such fields and says nothing;
// here it may be a card verification code that somebody believes to be stored, or
// a restriction of a token that would not be kept.
func hasUnknownFields(m proto.Message) bool {
	return unknownIn(m.ProtoReflect())
}

func unknownIn(m protoreflect.Message) bool {
	if len(m.GetUnknown()) > 0 {
		return true
	}
	found := false
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.Message() == nil:
		case field.IsList():
			found = unknownInList(value.List())
		case field.IsMap():
			found = true // no request has a map; one that gets it needs its code here
		default:
			found = unknownIn(value.Message())
		}
		return !found
	})
	return found
}

func unknownInList(list protoreflect.List) bool {
	for i := range list.Len() {
		if unknownIn(list.Get(i).Message()) {
			return true
		}
	}
	return false
}
