package history

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/outbound-events/outbound/pkg/rpc"
)

// cursor is a page token from the inside. Callers must not look into it.
type cursor struct {
	// Before is where the next page begins: a sequence of the stream that is walked.
	Before uint64 `json:"b"`
	// Until is the last sequence there was when the walk began: what came later does not shift the pages.
	Until uint64 `json:"u,omitempty"`
	// Queue says that EVENTS is walked, for deliveries that wait, not HISTORY.
	Queue bool `json:"q,omitempty"`
}

func (c cursor) token() (string, error) {
	b, err := json.Marshal(c)
	return base64.RawURLEncoding.EncodeToString(b), err
}

// readCursor reads a page token; empty is the beginning.
func readCursor(token string, queue bool) (cursor, error) {
	c := cursor{Queue: queue}
	if token == "" {
		return c, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		c = cursor{}
		err = json.Unmarshal(b, &c)
	}
	if err != nil || c.Before == 0 || c.Queue != queue {
		return c, rpc.InvalidArgument(rpc.Violation{
			Field: "pageToken", Reason: "INVALID_TOKEN",
			Description: "is not a token of this list: use the nextPageToken of the page before, with the same filters",
		})
	}
	return c, nil
}

// defaultPage is how long a page is if the caller does not say.
const defaultPage = 50

func pageSize(asked int32) int {
	if asked == 0 {
		return defaultPage
	}
	return int(asked)
}

// toValid replaces what is not UTF-8.
func toValid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
