package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const schemaPrefix = "#/components/schemas/"

// errorRef is the schema of all errors.
const errorRef = schemaPrefix + "Error"

// rename gives schemas and operations names as people would: `Recipient` for `outbound.v1.Recipient`, `DeliveryState` for
// `outbound.v1.DeliveryState.State`, `ListRecipients` for `RecipientService_ListRecipients`.
func rename(doc object) error {
	components, err := at(doc, "components")
	if err != nil {
		return err
	}
	schemas, err := at(components, "schemas")
	if err != nil {
		return err
	}
	short, out := map[string]string{}, object{}
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		as := shortName(name)
		if _, taken := out[as]; taken {
			return fmt.Errorf("two schemas would be called %s, one of them %s", as, name)
		}
		short[schemaPrefix+name], out[as] = schemaPrefix+as, schemas[name]
	}
	components["schemas"] = out
	walk(doc, func(o object) {
		if ref, ok := o["$ref"].(string); ok && short[ref] != "" {
			o["$ref"] = short[ref]
		}
	})
	all, err := operations(doc)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, op := range all {
		id, _ := op.object["operationId"].(string)
		id = id[strings.IndexByte(id, '_')+1:]
		// The second address of a method is that of a stored resource.
		if first, second := strings.CutSuffix(id, "_1"); second {
			id = first + "ById"
		}
		if seen[id] {
			return fmt.Errorf("two operations would be called %s", id)
		}
		seen[id], op.object["operationId"] = true, id
	}
	return nil
}

// shortName drops what only a .proto needs: the package, and the word for an enumeration within a message of its own.
func shortName(name string) string {
	if name == "google.rpc.Status" {
		return "Error"
	}
	parts := strings.Split(strings.TrimPrefix(name, "outbound.v1."), ".")
	out := parts[0]
	for _, p := range parts[1:] {
		if !strings.HasSuffix(out, p) {
			out += p
		}
	}
	return out
}

// walk visits every object.
func walk(v any, visit func(object)) {
	switch v := v.(type) {
	case object:
		visit(v)
		for _, k := range slices.Sorted(maps.Keys(v)) {
			walk(v[k], visit)
		}
	case []any:
		for _, x := range v {
			walk(x, visit)
		}
	}
}

// loosenChoices writes "one of these at most" without the unions that the generator makes of it, which client generators turn into
// types that nobody can use: each member forbids the others.
func loosenChoices(doc object) error {
	schemas, err := at(doc, "components", "schemas")
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		schema, err := at(schemas, name)
		if err != nil {
			return err
		}
		var members []string
		for _, branch := range list(schema, "oneOf") {
			for _, m := range list(branch, "required") {
				text, _ := m.(string)
				members = append(members, text)
			}
		}
		if len(members) == 0 {
			continue
		}
		delete(schema, "oneOf")
		dependent := object{}
		for _, m := range members {
			var others []any
			for _, other := range members {
				if other != m {
					others = append(others, object{"required": []any{other}})
				}
			}
			dependent[m] = object{"not": object{"anyOf": others}}
		}
		if len(members) > 1 {
			schema["dependentSchemas"] = dependent
			text, _ := schema["description"].(string)
			schema["description"] = text + "\n\nAt most one of `" + strings.Join(members, "`, `") + "`."
		}
	}
	return nil
}

// loosenPatches gives PATCH bodies schemas without required fields: a field that is absent stays as it is.
func loosenPatches(doc object) error {
	schemas, err := at(doc, "components", "schemas")
	if err != nil {
		return err
	}
	all, err := operations(doc)
	if err != nil {
		return err
	}
	l := loosener{schemas: schemas, strict: map[string]bool{}}
	for _, op := range all {
		if op.method != "patch" {
			continue
		}
		body, err := at(op.object, "requestBody", "content", "application/json", "schema")
		if err != nil {
			return fmt.Errorf("%s %s: %w", op.method, op.path, err)
		}
		ref, _ := body["$ref"].(string)
		body["$ref"] = l.loosened(ref)
	}
	return nil
}

type loosener struct {
	schemas object
	// strict remembers whether a schema, or one that it leads to, requires something.
	strict map[string]bool
}

// loosened is the reference of a schema that is the same but requires nothing.
func (l loosener) loosened(ref string) string {
	name := strings.TrimPrefix(ref, schemaPrefix)
	if !l.isStrict(name) {
		return ref
	}
	patch := name + "Patch"
	if _, made := l.schemas[patch]; !made {
		schema, _ := clone(l.schemas[name]).(object)
		l.schemas[patch] = schema
		delete(schema, "required")
		text, _ := schema["description"].(string)
		schema["description"] = text + "\n\nThe fields that are present are changed."
		properties, _ := schema["properties"].(object)
		for _, p := range properties {
			if o, ok := p.(object); ok {
				if inner, ok := o["$ref"].(string); ok {
					o["$ref"] = l.loosened(inner)
				}
			}
		}
	}
	return schemaPrefix + patch
}

func (l loosener) isStrict(name string) bool {
	if known, ok := l.strict[name]; ok {
		return known
	}
	l.strict[name] = false
	schema, _ := l.schemas[name].(object)
	strict := len(list(schema, "required")) > 0
	properties, _ := schema["properties"].(object)
	for _, p := range properties {
		if o, ok := p.(object); ok {
			if ref, ok := o["$ref"].(string); ok {
				strict = l.isStrict(strings.TrimPrefix(ref, schemaPrefix)) || strict
			}
		}
	}
	l.strict[name] = strict
	return strict
}

func clone(v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for k, x := range v {
			out[k] = clone(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = clone(v[i])
		}
		return out
	default:
		return v
	}
}
