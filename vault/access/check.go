package access

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
)

// checker finds the mistakes in a file's policies.
type checker struct {
	file      string
	schema    *resolved.Schema
	validator *validate.Validator
	lines     map[string]int // where an id was first seen
	mistakes  []error
}

func newChecker(file string) (*checker, error) {
	s, err := loadSchema()
	if err != nil {
		return nil, err
	}
	return &checker{file: file, schema: s, validator: validate.New(s), lines: make(map[string]int)}, nil
}

// policy checks one policy after those before it in the file.
func (c *checker) policy(p *cedar.Policy) {
	line := p.Position().Line
	c.id(line, string(p.Annotations()["id"]))

	tree := (*ast.Policy)(p.AST())
	if err := c.validator.Policy("", tree); err != nil {
		// One line a mistake. The validator walks a map of actions and finds them in
		// any order.
		found := strings.Split(err.Error(), "\n")
		slices.Sort(found)
		for _, text := range slices.Compact(found) {
			c.mistake(line, "%s", text)
		}
	}
	for _, uid := range literals(tree) {
		c.literal(line, uid)
	}
}

func (c *checker) mistake(line int, format string, args ...any) {
	c.mistakes = append(c.mistakes, fmt.Errorf("%s:%d: %w", c.file, line, fmt.Errorf(format, args...)))
}

func (c *checker) id(line int, id string) {
	switch first, used := c.lines[id]; {
	case id == "":
		c.mistake(line, "a policy needs an @id")
	case len(id) > 64 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		c.mistake(line, "@id: want lower-case letters, digits and hyphens, at most 64")
	case used:
		c.mistake(line, "@id(%q) is used in line %d too", id, first)
	default:
		c.lines[id] = line
	}
}

// literal checks that an entity written out in a policy can exist. Cedar would
// take it for one that merely is not there, and a forbid would never match.
func (c *checker) literal(line int, uid types.EntityUID) {
	id := string(uid.ID)
	switch uid.Type {
	case viewType:
		if !slices.Contains(c.schema.Enums[viewType].Values, uid) {
			c.mistake(line, "unrecognized view `%s`", uid)
		}
	case tenantType:
		if !IsName(id) {
			c.mistake(line, "`%s`: want the name of a tenant", uid)
		}
	case principalType:
		if tenant, name, _ := strings.Cut(id, "/"); !IsName(tenant) || !IsName(name) {
			c.mistake(line, "`%s`: want <tenant>/<name>", uid)
		}
	case staffType:
		if !IsName(id) {
			c.mistake(line, "`%s`: want the name of one of the staff", uid)
		}
	case deploymentType:
		if id != deployment {
			c.mistake(line, "`%s`: want %s::%q", uid, deploymentType, deployment)
		}
	}
}

// literals returns the entities that a policy names.
func literals(p *ast.Policy) []types.EntityUID {
	var found []types.EntityUID
	for _, scope := range []any{p.Principal, p.Resource} {
		switch s := scope.(type) {
		case ast.ScopeTypeEq:
			found = append(found, s.Entity)
		case ast.ScopeTypeIn:
			found = append(found, s.Entity)
		case ast.ScopeTypeIsIn:
			found = append(found, s.Entity)
		}
	}
	for _, condition := range p.Conditions {
		ast.Inspect(ast.NewNode(condition.Body), func(n ast.IsNode) bool {
			if value, ok := n.(ast.NodeValue); ok {
				if uid, ok := value.Value.(types.EntityUID); ok {
					found = append(found, uid)
				}
			}
			return true
		})
	}
	return found
}

// syntaxError puts the file and the place in front of what Cedar's parser says,
// as in p.cedar:4:24. It knows no file name and puts the place in the middle.
func syntaxError(file string, err error) error {
	place := regexp.MustCompile(`^parser error: (?:parse error at )?(?:<input>:(\d+:\d+):? )?`)
	text := err.Error()
	found := place.FindStringSubmatch(text)
	if found == nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	rest := text[len(found[0]):]
	if found[1] == "" || found[1] == "0:0" {
		return fmt.Errorf("%s: %s", file, rest)
	}
	return fmt.Errorf("%s:%s: %s", file, found[1], rest)
}
