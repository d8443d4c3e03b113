package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// decodeYAML fills a struct from one YAML document. It is as strict as yaml.v3 with
// KnownFields, and says in every error which field it is about, by its path, and
// never what stands there: it may be a password in the wrong place.
//
// Anchors, aliases, merge keys and tags are refused: a configuration is read by
// people, and says each thing where it stands.
func decodeYAML(text []byte, into any) error {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	switch err := d.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil // an empty file says nothing
	case err != nil:
		return notYAML(err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("want one YAML document")
	}
	root := document.Content[0]
	if root.ShortTag() == "!!null" && root.Value == "" {
		return nil // comments alone
	}
	return decodeStruct(root, reflect.ValueOf(into).Elem(), "")
}

// fieldError is an error of one field of the configuration.
func fieldError(node *yaml.Node, path, what string) error {
	return fmt.Errorf("line %d: %s: %s", node.Line, path, what)
}

func decodeStruct(node *yaml.Node, into reflect.Value, path string) error {
	if node.Kind != yaml.MappingNode || node.Anchor != "" {
		return fieldError(node, orDocument(path), "want a mapping")
	}
	fields := map[string]reflect.Value{}
	for i := range into.NumField() {
		fields[into.Type().Field(i).Tag.Get("yaml")] = into.Field(i)
	}
	seen := map[string]bool{}
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		field, known := fields[key.Value]
		switch {
		case !known || key.ShortTag() != "!!str" || key.Anchor != "" || key.Style&yaml.TaggedStyle != 0:
			return fieldError(key, join(path, keyName(key.Value)), "unknown key")
		case seen[key.Value]:
			return fieldError(key, join(path, key.Value), "is there twice")
		}
		seen[key.Value] = true
		if err := decodeValue(value, field, join(path, key.Value)); err != nil {
			return err
		}
	}
	return nil
}

func decodeValue(node *yaml.Node, into reflect.Value, path string) error {
	if into.Kind() == reflect.Struct {
		return decodeStruct(node, into, path)
	}
	if node.Kind != yaml.ScalarNode || node.Anchor != "" || node.Style&yaml.TaggedStyle != 0 {
		return fieldError(node, path, "want one value")
	}
	switch into.Interface().(type) {
	case time.Duration:
		d, err := time.ParseDuration(node.Value)
		if err != nil {
			return fieldError(node, path, "want a duration such as 30s or 5m")
		}
		into.SetInt(int64(d))
	case int:
		n, err := strconv.ParseInt(node.Value, 10, 32)
		// The plain decimal form alone: 010 is eight to YAML and ten to people.
		if err != nil || strconv.FormatInt(n, 10) != node.Value || node.ShortTag() != "!!int" {
			return fieldError(node, path, "want a whole number")
		}
		into.SetInt(n)
	case string:
		if node.ShortTag() == "!!null" || node.Value == "" {
			return fieldError(node, path, "has no value; leave the key out")
		}
		into.SetString(node.Value)
	default:
		return fieldError(node, path, "cannot be set")
	}
	return nil
}

// notYAML keeps the line of yaml's error, whose text may repeat the file's.
func notYAML(err error) error {
	_, rest, _ := strings.Cut(err.Error(), "line ")
	number, _, _ := strings.Cut(rest, ":")
	if _, bad := strconv.ParseUint(number, 10, 32); bad != nil {
		return errors.New("not YAML")
	}
	return fmt.Errorf("line %s: not YAML", number)
}

// keyName repeats an unknown key only where it looks like one.
func keyName(key string) string {
	if len(key) > 40 || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "?"
	}
	return key
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func orDocument(path string) string {
	if path == "" {
		return "the document"
	}
	return path
}
