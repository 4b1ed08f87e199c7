// Openapi reads the merged OpenAPI document of the generator from standard input and writes the one that is served: with a
// title, the bearer token, one path item per path, short names, and what the generator cannot know: streams, bodies, errors
// and examples.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

type object = map[string]any

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var doc object
	if err := json.NewDecoder(in).Decode(&doc); err != nil {
		return fmt.Errorf("read the merged document: %w", err)
	}
	for _, step := range []func(object) error{
		rename, mergePaths, describe, loosenChoices, describeEventBody, describeStreams, describeErrors, describeEmpty, loosenPatches,
		addExamples,
	} {
		if err := step(doc); err != nil {
			return err
		}
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	return enc.Encode(doc)
}

// describe says what the document is about, and who may call.
func describe(doc object) error {
	doc["info"] = object{
		"title":   "Outbound",
		"version": "v1",
		"description": "Sends appliance events to HTTP and email recipients. Durations are written as `\"30s\"`, times in RFC 3339. " +
			"A PATCH without `updateMask` changes the fields present in its body. Lists return `nextPageToken` if there are more pages.",
		"license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
	}
	doc["servers"] = []any{object{"url": "/", "description": "The server of this document."}}
	components, err := at(doc, "components")
	if err != nil {
		return err
	}
	components["securitySchemes"] = object{"bearer": object{
		"type": "http", "scheme": "bearer",
		"description": "The admin token, an API token, or for `POST /v1/events` an appliance's token.",
	}}
	doc["security"] = []any{object{"bearer": []any{}}}
	return nil
}

// at follows names through objects.
func at(o object, path ...string) (object, error) {
	for _, name := range path {
		next, ok := o[name].(object)
		if !ok {
			return nil, fmt.Errorf("the document has no %q where it was expected, on the way %q", name, path)
		}
		o = next
	}
	return o, nil
}

func list(v any, key string) []any {
	m, _ := v.(object)
	l, _ := m[key].([]any)
	return l
}

// operation is one method of a path.
type operation struct {
	path, method string
	object
}

// operations lists all methods of all paths.
func operations(doc object) ([]operation, error) {
	paths, err := at(doc, "paths")
	if err != nil {
		return nil, err
	}
	var out []operation
	for path, v := range paths {
		item, ok := v.(object)
		if !ok {
			return nil, fmt.Errorf("path %s is not an object", path)
		}
		for method, op := range item {
			o, ok := op.(object)
			if !ok {
				return nil, fmt.Errorf("%s %s is not an object", method, path)
			}
			out = append(out, operation{path, method, o})
		}
	}
	return out, nil
}
