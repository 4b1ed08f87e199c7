package search

import "google.golang.org/protobuf/proto"

// The parts of a search that decide.
var (
	CheckFilter = checkFilter
	FilterOf    = filterOf
	PageSize    = pageSize
)

// Token is the token of the page before a sequence, with filters.
func Token(before uint64, filters proto.Message) (string, error) {
	of, err := fingerprint(filters)
	if err != nil {
		return "", err
	}
	return cursor{Before: before, Until: 2 * before, Of: of}.token()
}

// ReadToken returns what a token says.
func ReadToken(token string, filters proto.Message) (before, until uint64, err error) {
	c, err := readCursor(token, filters)
	return c.Before, c.Until, err
}
