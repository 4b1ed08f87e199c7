// Package openapi holds the OpenAPI 3.1 document of the REST surface, made from the contract.
package openapi

import _ "embed"

//go:embed openapi.json
var document []byte

// Document is the document in JSON. The caller gets a copy.
func Document() []byte { return append([]byte(nil), document...) }
