package command

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// day is the unit that time.ParseDuration does not know.
const day = 24 * time.Hour

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

var errNoDuration = errors.New("use e.g. 30s, 5m, 24h or 7d")

// duration is the value of a flag. Help shows it as it is written.
type duration struct{ of *time.Duration }

// String implements pflag.Value.
func (d duration) String() string {
	if d.of == nil || *d.of == 0 {
		return "0s"
	}
	return output.Duration(*d.of)
}

// Set implements pflag.Value.
func (d duration) Set(text string) error {
	v, err := ParseDuration(text)
	if err == nil {
		*d.of = v
	}
	return err
}

// Type implements pflag.Value.
func (duration) Type() string { return "duration" }

// DurationVar defines a flag that takes a duration as ParseDuration reads it. Its default is the value that it has.
func DurationVar(f *pflag.FlagSet, of *time.Duration, name, help string) {
	f.Var(duration{of}, name, help)
}
