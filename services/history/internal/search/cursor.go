package search

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/rpc"
)

// cursor is the content of a page token, which is opaque to callers.
type cursor struct {
	// Before is where the next page begins: a sequence of the stream that is read.
	Before uint64 `json:"b"`
	// Until is the last sequence there was when the list began: what came later does not shift the pages.
	Until uint64 `json:"u,omitempty"`
	// Of is the fingerprint of the filters that the list began with: the token is not valid with others.
	Of string `json:"f"`
}

func (c cursor) token() (string, error) {
	b, err := json.Marshal(c)
	return base64.RawURLEncoding.EncodeToString(b), err
}

// readCursor reads a page token; empty is the beginning. filters is the request without its page size and token.
func readCursor(token string, filters proto.Message) (cursor, error) {
	of, err := fingerprint(filters)
	if err != nil || token == "" {
		return cursor{Of: of}, err
	}
	var c cursor
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	switch {
	case err != nil || c.Before == 0 || c.Of == "":
		return c, badToken("is not valid for this list: use the nextPageToken of the previous page")
	case c.Of != of:
		return c, badToken("belongs to a list with other filters: use the filters of the previous page, or start without a token")
	default:
		return c, nil
	}
}

func badToken(description string) error {
	return rpc.InvalidArgument(rpc.Violation{Field: "pageToken", Reason: "INVALID_TOKEN", Description: description})
}

// fingerprint is a hash of filters.
func fingerprint(filters proto.Message) (string, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(filters)
	if err != nil {
		return "", fmt.Errorf("encode the filters: %w", err)
	}
	sum := sha256.Sum256(append([]byte(filters.ProtoReflect().Descriptor().Name()+"\n"), b...))
	return hex.EncodeToString(sum[:8]), nil
}

// defaultPage is the size of a page if the caller gives none.
const defaultPage = 50

func pageSize(asked int32) int {
	if asked == 0 {
		return defaultPage
	}
	return int(asked)
}
