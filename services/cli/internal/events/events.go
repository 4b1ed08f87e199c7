// Package events holds the commands of events.
package events

import (
	"context"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/forward"
	"github.com/outbound-events/outbound/services/cli/internal/input"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// Command makes the command `events`.
func Command(env *command.Env) *cobra.Command {
	return command.Group("events", "Publish and inspect events",
		publishCommand(env), forward.Command(env), listCommand(env), rejectedCommand(env), getCommand(env))
}

// newEvent is an event made from flags.
type newEvent struct {
	file, appliance, eventType, id, session, externalKey, at string
	set, custom                                              []string
}

func publishCommand(env *command.Env) *cobra.Command {
	var n newEvent
	var wait bool
	timeout := 5 * time.Minute
	cmd := &cobra.Command{
		Use:   "publish",
		Short: "Publish one event, from a file or from flags",
		Example: "  outbound events publish -f event.json\n" +
			"  outbound events publish --appliance appliance-1 --event support_conference_end --session 8f0c --external-key INC-1\n" +
			"  outbound events publish --appliance appliance-1 --event support_conference_end --wait --timeout 30s",
		Args: command.Arguments(),
	}
	f := cmd.Flags()
	f.StringVarP(&n.file, "file", "f", "", "JSON file with a CloudEvent, sent unchanged; - reads standard input")
	f.StringVar(&n.appliance, "appliance", "", "appliance (the source of the event)")
	f.StringVar(&n.eventType, "event", "", "event type")
	f.StringVar(&n.id, "id", "", "event ID, unique for the appliance (default: generated)")
	f.StringVar(&n.session, "session", "", "session (lsid)")
	f.StringVar(&n.externalKey, "external-key", "", "external key of the session")
	f.StringVar(&n.at, "time", "", "time of the event, RFC 3339 (default: now)")
	f.StringArrayVar(&n.set, "set", nil, "variable, as name=value; may be repeated")
	f.StringArrayVar(&n.custom, "custom", nil, "custom field, as code_name=value; may be repeated")
	f.BoolVar(&wait, "wait", false, "wait until every delivery of the event is final; the exit code is 6 unless all were delivered")
	command.DurationVar(f, &timeout, "timeout", "how long --wait waits")
	command.NameFields(cmd, map[string]string{"source": "appliance", "type": "event", "id": "id", "time": "time", "subject": "session",
		"data.external_key": "external-key", "data.custom_fields": "custom", "data": "set"})
	env.CompleteFlags(cmd, map[string]command.Completion{"appliance": command.CompleteAppliances, "event": command.CompleteEventTypes})
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		raw, err := n.body(env.Files)
		if err != nil {
			return err
		}
		resp, err := c.Publish(ctx, raw)
		if err != nil {
			return err
		}
		if wait && env.Structured() {
			return follower{Env: env, client: c, timeout: timeout}.follow(ctx, resp.GetEventId())
		}
		err = env.Show(resp, func() *output.Table {
			return &output.Table{
				Head: []string{"EVENT", "SEQUENCE", "DUPLICATE"},
				Rows: [][]string{{resp.GetEventId(), strconv.FormatUint(resp.GetSequence(), 10), output.Yes(resp.GetDuplicate())}},
			}
		})
		if err != nil || !wait {
			return err
		}
		return follower{Env: env, client: c, timeout: timeout}.follow(ctx, resp.GetEventId())
	})
	return cmd
}

func (n *newEvent) body(files *input.Reader) ([]byte, error) {
	if n.file != "" {
		if n.appliance != "" || n.eventType != "" || len(n.set) > 0 || len(n.custom) > 0 {
			return nil, exit.Usagef("use either -f or flags for the event, not both")
		}
		return files.Read(n.file)
	}
	if n.appliance == "" || n.eventType == "" {
		return nil, exit.Usagef("events publish needs -f FILE, or --appliance and --event")
	}
	data, err := command.Pairs(n.set)
	if err != nil {
		return nil, err
	}
	custom, err := command.Pairs(n.custom)
	if err != nil {
		return nil, err
	}
	if n.id == "" {
		n.id = ulid.Make().String()
	}
	if n.at == "" {
		n.at = time.Now().UTC().Format(time.RFC3339Nano)
	}
	return CloudEvent{
		ID: n.id, Source: n.appliance, Type: n.eventType, Time: n.at, Subject: n.session,
		ExternalKey: n.externalKey, Custom: custom, Variables: data,
	}.Encode()
}
