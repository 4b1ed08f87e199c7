package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

var parameter = regexp.MustCompile(`\{[a-z_]+\.([a-z_]+)\}`)

// mergePaths joins path items that differ only in the name of a parameter (`{id}` and `{recipient.id}`): OpenAPI takes them
// for one path.
func mergePaths(doc object) error {
	paths, err := at(doc, "paths")
	if err != nil {
		return err
	}
	out := object{}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item, err := at(paths, path)
		if err != nil {
			return err
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
				return fmt.Errorf("%s %s is there twice", method, short)
			}
			have[method] = op
		}
	}
	doc["paths"] = out
	return nil
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
func describeEventBody(doc object) error {
	post, err := at(doc, "paths", "/v1/events", "post")
	if err != nil {
		return err
	}
	content, err := at(post, "requestBody", "content")
	if err != nil {
		return err
	}
	structured, err := at(content, "application/json")
	if err != nil {
		return err
	}
	delete(post, "parameters")
	content["application/cloudevents+json"] = structured
	return nil
}

// streams are the operations that answer with an object a line.
var streams = []string{"/v1/deliveries:tail", "/v1/status:watch", "/v1/backup", "/v1/audit:export", "/v1/deliveries:verify"}

// describeStreams says how a stream is read: each line holds a message as `result`, or the `error` that ends it.
func describeStreams(doc object) error {
	schemas, err := at(doc, "components", "schemas")
	if err != nil {
		return err
	}
	for _, path := range streams {
		get, err := at(doc, "paths", path, "get")
		if err != nil {
			return err
		}
		answer, err := at(get, "responses", "200")
		if err != nil {
			return err
		}
		message, err := at(answer, "content", "application/json", "schema")
		if err != nil {
			return err
		}
		ref, _ := message["$ref"].(string)
		name := ref[strings.LastIndexByte(ref, '/')+1:] + "Line"
		schemas[name] = object{
			"type":        "object",
			"description": "A line of a stream: either `result` or `error`.",
			"properties": object{
				"result": object{"$ref": ref},
				"error":  object{"$ref": errorRef, "description": "Why the stream ended."},
			},
		}
		answer["description"] = "Newline-delimited JSON: one object per line, until the client disconnects, the answer is complete, or a line has `error`."
		answer["content"] = object{"application/x-ndjson": object{"schema": object{"$ref": "#/components/schemas/" + name}}}
		// Pages have no meaning in a stream.
		get["parameters"] = slices.DeleteFunc(list(get, "parameters"), func(p any) bool {
			m, _ := p.(object)
			return m["name"] == "filter.pageSize" || m["name"] == "filter.pageToken"
		})
	}
	return nil
}

// describeEmpty says of an answer without content that it has none.
func describeEmpty(doc object) error {
	all, err := operations(doc)
	if err != nil {
		return err
	}
	for _, op := range all {
		answer, err := at(op.object, "responses", "200")
		if err != nil {
			return err
		}
		if text, _ := answer["description"].(string); strings.HasPrefix(text, "A generic empty message") {
			answer["description"] = "Success. The response is an empty object."
		}
	}
	return nil
}
