// Package openapiclient is a client of the REST surface, made from its OpenAPI document by a generator of others' making: what
// it can call, anybody's client can. Tests alone use it.
package openapiclient
