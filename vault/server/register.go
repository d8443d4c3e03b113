package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
)

var errNoRow = errors.New("methods without a row in the method table")

// registrar registers services with each method behind its row of the method
// table.
type registrar struct {
	*grpc.Server
	pipe    *pipe
	rows    map[string]method
	missing []string
}

// RegisterService implements grpc.ServiceRegistrar.
func (r *registrar) RegisterService(desc *grpc.ServiceDesc, service any) {
	guarded := *desc
	guarded.Methods = slices.Clone(desc.Methods)
	for i := range guarded.Methods {
		m := &guarded.Methods[i]
		m.Handler = r.pipe.unary(r.row(desc, m.MethodName), m.Handler)
	}
	guarded.Streams = slices.Clone(desc.Streams)
	for i := range guarded.Streams {
		s := &guarded.Streams[i]
		s.Handler = r.pipe.stream(r.row(desc, s.StreamName), s.Handler)
	}
	r.Server.RegisterService(&guarded, service)
}

func (r *registrar) row(desc *grpc.ServiceDesc, name string) method {
	full := "/" + desc.ServiceName + "/" + name
	row, ok := r.rows[full]
	if !ok {
		r.missing = append(r.missing, full)
	}
	return row
}

// complete returns an error where a method has no row.
func (r *registrar) complete() error {
	if len(r.missing) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", errNoRow, strings.Join(r.missing, ", "))
}
