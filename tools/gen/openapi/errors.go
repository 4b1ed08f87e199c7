package main

import "fmt"

// text is a schema of a string.
func text(description string) object {
	return object{"type": "string", "description": description}
}

// describeErrors says what every refusal looks like, and by which header a change is bound to what was read.
func describeErrors(doc object) error {
	components, err := at(doc, "components")
	if err != nil {
		return err
	}
	schema, err := at(components, "schemas", "Error")
	if err != nil {
		return err
	}
	schema["description"] = "An error: `google.rpc.Status`."
	schema["required"] = []any{"code", "message"}
	properties, err := at(schema, "properties")
	if err != nil {
		return err
	}
	properties["code"] = object{"type": "integer", "format": "int32",
		"description": "The gRPC code, e.g. 3 for INVALID_ARGUMENT. It determines the HTTP status."}
	properties["message"] = text("What is wrong and what to do, as a sentence.")
	properties["details"] = object{
		"type": "array", "description": "Machine-readable details.", "items": object{"$ref": schemaPrefix + "ErrorDetail"},
	}
	schemas, err := at(components, "schemas")
	if err != nil {
		return err
	}
	schemas["ErrorDetail"] = object{
		"type": "object", "description": "A detail of an error. `@type` determines its fields.", "required": []any{"@type"},
		"additionalProperties": true,
		"properties": object{
			"@type": text("`type.googleapis.com/google.rpc.` and one of BadRequest (fieldViolations), ErrorInfo (reason, domain, metadata), " +
				"ResourceInfo (resourceType, resourceName)."),
			"fieldViolations": object{"type": "array", "description": "All field violations.", "items": object{
				"type": "object", "properties": object{
					"field":       text("The field's path, e.g. `http.url`."),
					"reason":      text("Reason, as one word, e.g. `TAKEN`."),
					"description": text("What is wrong and what to do."),
				},
			}},
			"reason":       text("Reason, as one word, e.g. `STALE_ETAG`."),
			"domain":       text("Always `outbound`."),
			"metadata":     object{"type": "object", "description": "Details of the error.", "additionalProperties": object{"type": "string"}},
			"resourceType": text("Kind of the resource that does not exist."),
			"resourceName": text("ID of the resource."),
		},
	}
	components["responses"] = object{"Error": object{
		"description": "Error. 400: not valid (with all field violations), or not possible in the current state. 401: no valid token. " +
			"403: not allowed for this token. 404: not found. 405: method not allowed. 409: already exists, or changed by someone else. " +
			"413: too large. 429: full, or too many requests. 503: temporarily not available; try again.",
		"content": object{"application/json": object{"schema": object{"$ref": errorRef}, "examples": errorExamples()}},
	}}
	components["parameters"] = object{"IfMatch": object{
		"name": "If-Match", "in": "header", "required": false, "schema": object{"type": "string"},
		"description": "The expected etag of the resource, in quotes as in the header `ETag`. Otherwise the call fails with 409.",
	}}
	return addErrors(doc)
}

func addErrors(doc object) error {
	all, err := operations(doc)
	if err != nil {
		return err
	}
	for _, op := range all {
		responses, err := at(op.object, "responses")
		if err != nil {
			return fmt.Errorf("%s %s: %w", op.method, op.path, err)
		}
		responses["default"] = object{"$ref": "#/components/responses/Error"}
		if op.method == "patch" || op.method == "delete" && hasParameter(op.object, "etag") {
			op.object["parameters"] = append(list(op.object, "parameters"), object{"$ref": "#/components/parameters/IfMatch"})
		}
	}
	return nil
}

func hasParameter(op object, name string) bool {
	for _, p := range list(op, "parameters") {
		if m, ok := p.(object); ok && m["name"] == name {
			return true
		}
	}
	return false
}

func errorExamples() object {
	return object{
		"invalid": object{"summary": "A field is not valid", "value": object{
			"code": 3, "message": "http.url: is not a URL: use the form https://host/path",
			"details": []any{object{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": []any{
				object{"field": "http.url", "reason": "INVALID", "description": "is not a URL: use the form https://host/path"},
			}}},
		}},
		"conflict": object{"summary": "Changed by someone else", "value": object{
			"code": 10, "message": `recipient "ticket-system" was changed by someone else: read it again and repeat the change`,
			"details": []any{object{
				"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "STALE_ETAG", "domain": "outbound",
				"metadata": object{"resource": "recipient", "id": "ticket-system"},
			}},
		}},
	}
}
