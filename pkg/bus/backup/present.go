package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
)

// Present is what a broker holds before a restore replaces it.
type Present struct {
	// Unfinished names the backup whose restore has not finished. What is there is of no worth then.
	Unfinished string
	// Recipients and Settings are how many keys of configuration there are; Events, Records and Notices are how many messages.
	Recipients, Settings, Events, Records, Notices int
	// Replicas is how many copies the broker keeps of EVENTS; 0: it has no stream of that name.
	Replicas int
}

// Empty reports whether nothing of worth is there.
func (p Present) Empty() bool {
	return p.Unfinished != "" || p.Recipients+p.Settings+p.Events+p.Records+p.Notices == 0
}

// String says in words what is there.
func (p Present) String() string {
	var out []string
	for _, x := range []struct {
		n         int
		one, many string
	}{
		{p.Recipients, "recipient", "recipients"}, {p.Settings, "setting", "settings"}, {p.Events, "event", "events"},
		{p.Records, "record", "records of the delivery log"}, {p.Notices, "alert email", "alert emails"},
	} {
		switch {
		case x.n == 1:
			out = append(out, "1 "+x.one)
		case x.n > 1:
			out = append(out, fmt.Sprintf("%d %s", x.n, x.many))
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, ", ")
}

// Look counts what a broker holds.
func Look(ctx context.Context, c *wire.Conn) (p Present, err error) {
	if p.Unfinished, err = c.UnfinishedRestore(ctx); err != nil {
		return p, err
	}
	count := map[string]*int{names.StreamEvents: &p.Events, names.StreamHistory: &p.Records, names.StreamNotices: &p.Notices,
		names.BucketRecipients: &p.Recipients, names.BucketSettings: &p.Settings}
	for _, s := range sources() {
		n := count[s.name]
		if n == nil {
			continue
		}
		found, err := c.JS.Stream(ctx, s.stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return p, fmt.Errorf("look up %s: %w", s.name, err)
		}
		info := found.CachedInfo()
		if s.name == names.StreamEvents {
			p.Replicas = info.Config.Replicas
		}
		if *n = int(info.State.Msgs); s.name == names.BucketRecipients || s.name == names.BucketSettings {
			if *n, err = keys(ctx, c, s.name); err != nil {
				return p, err
			}
		}
	}
	return p, nil
}

// keys counts the keys of a bucket of configuration. Names are no recipients, and that a backup was taken is no setting.
func keys(ctx context.Context, c *wire.Conn, name string) (int, error) {
	b, err := c.Bucket(ctx, name)
	if err != nil {
		return 0, err
	}
	all, err := b.All(ctx, "")
	if err != nil {
		return 0, err
	}
	return len(slices.DeleteFunc(all, func(e wire.Entry) bool {
		return name == names.BucketRecipients && !strings.HasPrefix(e.Key, "r.") || name == names.BucketSettings && len(e.Value) == 0
	})), nil
}
