package resource

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// day is the unit that time.ParseDuration does not know.
const day = 24 * time.Hour

var errNoDuration = errors.New("use e.g. 30s, 5m, 24h or 7d")

// ParseDuration reads a duration as people write it: 30s, 24h, 1h30m, and days before or without the rest, 7d or 1d12h.
func ParseDuration(text string) (time.Duration, error) {
	days, rest, found := strings.Cut(text, "d")
	if !found {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, errNoDuration
		}
		return d, nil
	}
	n, err := strconv.ParseInt(days, 10, 32)
	if err != nil || n > int64(math.MaxInt64/day) || n < int64(math.MinInt64/day) {
		return 0, errNoDuration
	}
	if rest == "" {
		return time.Duration(n) * day, nil
	}
	more, err := time.ParseDuration(rest)
	sum := time.Duration(n)*day + more
	if err != nil || more < 0 || n < 0 || sum < more {
		return 0, errNoDuration
	}
	return sum, nil
}
