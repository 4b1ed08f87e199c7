package client

import (
	"maps"
	"net/url"
	"slices"
	"strconv"

	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// EachPage asks for pages until limit is reached or there are no more.
func EachPage(limit int, ask func(size int, token string) (got int, next string, err error)) error {
	if limit < 1 {
		return exit.Usagef("--limit must be at least 1")
	}
	token := ""
	for limit > 0 {
		got, next, err := ask(min(limit, 1000), token)
		if err != nil {
			return err
		}
		limit -= got
		if token = next; token == "" {
			return nil
		}
	}
	return nil
}

// PageQuery is a query without its empty values, for one page.
func PageQuery(base url.Values, size int, token string) string {
	q := url.Values{"pageSize": {strconv.Itoa(size)}}
	for _, name := range slices.Sorted(maps.Keys(base)) {
		if v := base.Get(name); v != "" {
			q.Set(name, v)
		}
	}
	if token != "" {
		q.Set("pageToken", token)
	}
	return q.Encode()
}
