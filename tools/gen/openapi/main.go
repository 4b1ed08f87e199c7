// Openapi reads the merged OpenAPI document of the generator from standard input and writes the one that is served: with a
// title, the bearer token, one path item per path, and the bodies that the generator cannot know.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
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
	paths, ok := doc["paths"].(object)
	if !ok {
		return fmt.Errorf("the document has no paths")
	}
	merged, err := mergePaths(paths)
	if err != nil {
		return err
	}
	if err := describeEventBody(merged); err != nil {
		return err
	}
	doc["paths"] = merged
	doc["info"] = object{
		"title":   "Outbound",
		"version": "v1",
		"description": "Sends the events of appliances to HTTP and email recipients. Errors are `google.rpc.Status` with details; " +
			"durations are written as in `\"30s\"`, times in RFC 3339. A PATCH without `updateMask` changes the fields present in its body.",
		"license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
	}
	components, ok := doc["components"].(object)
	if !ok {
		return fmt.Errorf("the document has no components")
	}
	components["securitySchemes"] = object{"bearer": object{
		"type": "http", "scheme": "bearer",
		"description": "The admin token, or for `POST /v1/events` an appliance's token.",
	}}
	doc["security"] = []any{object{"bearer": []any{}}}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	return enc.Encode(doc)
}

var parameter = regexp.MustCompile(`\{[a-z_]+\.([a-z_]+)\}`)

// mergePaths joins path items that differ only in the name of a parameter (`{id}` and `{recipient.id}`): OpenAPI takes them
// for one path.
func mergePaths(paths object) (object, error) {
	out := object{}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item, ok := paths[path].(object)
		if !ok {
			return nil, fmt.Errorf("path %s is not an object", path)
		}
		short := parameter.ReplaceAllString(path, "{$1}")
		if short != path {
			renameParameters(item)
		}
		have, ok := out[short].(object)
		if !ok {
			out[short] = item
			continue
		}
		for method, op := range item {
			if _, taken := have[method]; taken {
				return nil, fmt.Errorf("%s %s is there twice", method, short)
			}
			have[method] = op
		}
	}
	return out, nil
}

func renameParameters(item object) {
	for _, op := range item {
		for _, p := range list(op, "parameters") {
			if m, ok := p.(object); ok && m["in"] == "path" {
				name, _ := m["name"].(string)
				m["name"] = name[strings.LastIndexByte(name, '.')+1:]
			}
		}
	}
}

// describeEventBody says what POST /v1/events takes: a CloudEvent in either mode, and nothing in the query.
func describeEventBody(paths object) error {
	item, _ := paths["/v1/events"].(object)
	post, _ := item["post"].(object)
	body, _ := post["requestBody"].(object)
	content, _ := body["content"].(object)
	structured, ok := content["application/json"].(object)
	if !ok {
		return fmt.Errorf("POST /v1/events has no JSON body")
	}
	delete(post, "parameters")
	content["application/cloudevents+json"] = structured
	return nil
}

func list(v any, key string) []any {
	m, _ := v.(object)
	l, _ := m[key].([]any)
	return l
}
