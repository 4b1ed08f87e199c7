package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (a *app) events() *cobra.Command {
	return group("events", "Publish and inspect events",
		a.eventsPublish(), a.eventsList(), a.eventsRejected(), a.eventsGet())
}

// newEvent is an event made from flags.
type newEvent struct {
	file, appliance, eventType, id, session, externalKey, at string
	set, custom                                              []string
}

func (a *app) eventsPublish() *cobra.Command {
	var n newEvent
	cmd := &cobra.Command{
		Use:   "publish",
		Short: "Publish one event, from a file or from flags",
		Example: "  outbound events publish -f event.json\n" +
			"  outbound events publish --appliance appliance-1 --event support_conference_end --session 8f0c --external-key INC-1",
		Args: arguments(),
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
	a.completeFlags(cmd, map[string]completion{"appliance": completeAppliances, "event": completeEventTypes})
	cmd.RunE = a.with(func(ctx context.Context, c *client, _ []string) error {
		raw, err := n.body(a)
		if err != nil {
			return err
		}
		resp, err := c.publish(ctx, raw)
		if err != nil {
			return err
		}
		return a.show(resp, func() *table {
			return &table{
				head: []string{"EVENT", "SEQUENCE", "DUPLICATE"},
				rows: [][]string{{resp.GetEventId(), strconv.FormatUint(resp.GetSequence(), 10), yes(resp.GetDuplicate())}},
			}
		})
	})
	return cmd
}

func (n *newEvent) body(a *app) ([]byte, error) {
	if n.file != "" {
		if n.appliance != "" || n.eventType != "" || len(n.set) > 0 || len(n.custom) > 0 {
			return nil, usage("use either -f or flags for the event, not both")
		}
		return readInput(n.file, a.In)
	}
	if n.appliance == "" || n.eventType == "" {
		return nil, usage("events publish needs -f FILE, or --appliance and --event")
	}
	data, err := pairs(n.set)
	if err != nil {
		return nil, err
	}
	custom, err := pairs(n.custom)
	if err != nil {
		return nil, err
	}
	if n.id == "" {
		n.id = ulid.Make().String()
	}
	if n.at == "" {
		n.at = time.Now().UTC().Format(time.RFC3339Nano)
	}
	return cloudEvent{
		ID: n.id, Source: n.appliance, Type: n.eventType, Time: n.at, Subject: n.session,
		externalKey: n.externalKey, custom: custom, variables: data,
	}.encode()
}

// cloudEvent is an event on the wire.
type cloudEvent struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Time            string `json:"time,omitempty"`
	Subject         string `json:"subject,omitempty"`
	DataContentType string `json:"datacontenttype"`
	Data            tree   `json:"data"`

	externalKey       string
	custom, variables tree
}

func (e cloudEvent) encode() ([]byte, error) {
	e.SpecVersion, e.DataContentType = "1.0", "application/json"
	e.Data = tree{}
	maps.Copy(e.Data, e.variables)
	if e.externalKey != "" {
		e.Data["external_key"] = e.externalKey
	}
	if len(e.custom) > 0 {
		e.Data["custom_fields"] = e.custom
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode the event: %w", err)
	}
	return raw, nil
}

func (c *client) publish(ctx context.Context, raw []byte) (*outboundv1.PublishEventResponse, error) {
	answer, err := c.send(ctx, http.MethodPost, "/v1/events", raw)
	if err != nil {
		return nil, err
	}
	resp := &outboundv1.PublishEventResponse{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(answer, resp); err != nil {
		return nil, fmt.Errorf("read the response to the event: %w", err)
	}
	return resp, nil
}
