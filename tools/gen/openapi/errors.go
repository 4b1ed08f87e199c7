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
	properties["code"] = object{"type": "integer", "format": "int32", "description": "The code of gRPC, e.g. 3 for INVALID_ARGUMENT. The HTTP status is made of it."}
	properties["message"] = text("What is wrong and what to do, in a sentence for people.")
	properties["details"] = object{
		"type": "array", "description": "What programs can act on.", "items": object{"$ref": schemaPrefix + "ErrorDetail"},
	}
	schemas, err := at(components, "schemas")
	if err != nil {
		return err
	}
	schemas["ErrorDetail"] = object{
		"type": "object", "description": "A detail of an error. `@type` says which fields it has.", "required": []any{"@type"},
		"additionalProperties": true,
		"properties": object{
			"@type": text("`type.googleapis.com/google.rpc.` and one of BadRequest (fieldViolations), ErrorInfo (reason, domain, metadata), ResourceInfo (resourceType, resourceName)."),
			"fieldViolations": object{"type": "array", "description": "Every field that is wrong.", "items": object{
				"type": "object", "properties": object{
					"field":       text("The field's path, e.g. `http.url`."),
					"reason":      text("What is wrong, as a word, e.g. `TAKEN`."),
					"description": text("What is wrong and what to do."),
				},
			}},
			"reason":       text("Why, as a word, e.g. `STALE_ETAG`."),
			"domain":       text("Always `outbound`."),
			"metadata":     object{"type": "object", "description": "What it is about.", "additionalProperties": object{"type": "string"}},
			"resourceType": text("The kind of what does not exist."),
			"resourceName": text("Its id."),
		},
	}
	components["responses"] = object{"Error": object{
		"description": "Refused, or failed. 400: not valid (every field at once), or not possible now. 401: no token, or an unknown one. " +
			"403: not with this token. 404: it does not exist. 405: not a method of this path. 409: taken, or changed by another meanwhile. " +
			"413: too large. 429: full, or too fast. 503: away for the moment; try again.",
		"content": object{"application/json": object{"schema": object{"$ref": errorRef}, "examples": errorExamples()}},
	}}
	components["parameters"] = object{"IfMatch": object{
		"name": "If-Match", "in": "header", "required": false, "schema": object{"type": "string"},
		"description": "The etag that the resource must still have, in quotes as the header `ETag` gave it; else 409.",
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
			"code": 3, "message": "http.url: is no URL: write it as in https://tickets.example.com/hook",
			"details": []any{object{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": []any{
				object{"field": "http.url", "reason": "INVALID", "description": "is no URL: write it as in https://tickets.example.com/hook"},
			}}},
		}},
		"conflict": object{"summary": "Somebody else was faster", "value": object{
			"code": 10, "message": `recipient "ticket-system" was changed by another meanwhile: get it again and repeat the change`,
			"details": []any{object{
				"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "STALE_ETAG", "domain": "outbound",
				"metadata": object{"resource": "recipient", "id": "ticket-system"},
			}},
		}},
	}
}
