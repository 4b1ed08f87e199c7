package command

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// Pairs reads arguments of the form name=value.
func Pairs(list []string) (resource.Tree, error) {
	out := resource.Tree{}
	for _, p := range list {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, exit.Usagef("%q is not in the form name=value", p)
		}
		out[name] = value
	}
	return out, nil
}

// Moment reads a time, as RFC 3339 or as how long ago it was, and returns it as RFC 3339.
func Moment(flag, text string, now time.Time) (string, error) {
	if text == "" {
		return "", nil
	}
	if ago, err := resource.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago).UTC().Format(time.RFC3339Nano), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return "", exit.Usagef("%s %q is neither a time such as 2026-11-21T10:00:00Z nor a duration such as 2h", flag, text)
	}
	return at.UTC().Format(time.RFC3339Nano), nil
}

// MomentOf reads a time as Moment does; nil if there is none.
func MomentOf(flag, text string, now time.Time) (*timestamppb.Timestamp, error) {
	written, err := Moment(flag, text, now)
	if err != nil || written == "" {
		return nil, err
	}
	t, err := time.Parse(time.RFC3339Nano, written)
	return timestamppb.New(t), err
}
