package access

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
)

//go:embed schema.cedarschema
var schemaText []byte

const (
	actionType     types.EntityType = "Action"
	principalType  types.EntityType = "Principal"
	tenantType     types.EntityType = "Tenant"
	staffType      types.EntityType = "Staff"
	deploymentType types.EntityType = "Deployment"
	viewType       types.EntityType = "View"

	// deployment is the one Deployment there is.
	deployment = "cardvault"
)

// loadSchema reads schema.cedarschema.
func loadSchema() (*resolved.Schema, error) {
	var s schema.Schema
	s.SetFilename("schema.cedarschema")
	if err := s.UnmarshalCedar(schemaText); err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	r, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("resolving the schema: %w", err)
	}
	return r, nil
}

// contexts returns which attributes each action's context has. An action of the
// schema that is no Action is left out, and thereby denied.
func contexts(s *resolved.Schema) map[Action][]types.String {
	all := make(map[Action][]types.String)
	for _, a := range Actions() {
		declared, ok := s.Actions[types.NewEntityUID(actionType, types.String(a))]
		if ok && declared.AppliesTo != nil {
			all[a] = slices.Sorted(maps.Keys(declared.AppliesTo.Context))
		}
	}
	return all
}
