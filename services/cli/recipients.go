package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (a *app) recipients() *cobra.Command {
	return group("recipients", "Manage recipients",
		a.recipientsList(), a.recipientsGet(), a.recipientsCreate(), a.recipientsUpdate(), a.recipientsDelete(),
		a.recipientsSwitch("enable", "Resume sending events to a recipient", true),
		a.recipientsSwitch("disable", "Stop sending events to a recipient", false),
		a.recipientsTest(), a.recipientsPreview(), a.recipientsDoctor(), a.recipientsTestFilter(), a.recipientsPurge())
}

func (a *app) recipientsList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List recipients", Args: arguments(),
		RunE: a.with(func(ctx context.Context, c *client, _ []string) error {
			all, err := c.allRecipients(ctx)
			if err != nil {
				return err
			}
			return a.show(all, func() *table {
				t := &table{head: []string{"ID", "NAME", "CHANNEL", "ENABLED", "EVENTS", "TARGET"}}
				for _, r := range all.GetRecipients() {
					channel, target := "http", r.GetHttp().GetUrl()
					if r.GetEmail() != nil {
						channel, target = "email", strings.Join(r.GetEmail().GetAddresses(), ",")
					}
					t.add(r.GetId(), r.GetDisplayName(), channel, recipientState(r), fmt.Sprint(len(r.GetEventTypes())), target)
				}
				return t
			})
		}),
	}
}

func recipientState(r *outboundv1.Recipient) string {
	if r.GetDeleteTime() != nil {
		return "deleting"
	}
	return yes(r.GetEnabled())
}

// allRecipients joins all pages.
func (c *client) allRecipients(ctx context.Context) (*outboundv1.ListRecipientsResponse, error) {
	all := &outboundv1.ListRecipientsResponse{}
	for token := ""; ; {
		page := &outboundv1.ListRecipientsResponse{}
		query := url.Values{"pageSize": {"1000"}, "pageToken": {token}}
		if err := c.call(ctx, http.MethodGet, "/v1/recipients?"+query.Encode(), nil, page); err != nil {
			return nil, err
		}
		all.Recipients = append(all.Recipients, page.GetRecipients()...)
		all.TotalSize = page.GetTotalSize()
		if token = page.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

func recipientPath(id string) string { return "/v1/recipients/" + url.PathEscape(id) }

func (a *app) recipientsGet() *cobra.Command {
	return &cobra.Command{
		Use: "get RECIPIENT", Short: "Show a recipient", Args: arguments("RECIPIENT"),
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			r := &outboundv1.Recipient{}
			if err := c.call(ctx, http.MethodGet, recipientPath(args[0]), nil, r); err != nil {
				return err
			}
			return a.showFields(r)
		}),
	}
}

func (a *app) recipientsCreate() *cobra.Command {
	var flags recipientFlags
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Create a recipient, from a file or from flags",
		Example: "  outbound recipients create --name 'Ticket system' --url https://tickets.example.com/hook --event support_conference_end\n" +
			"  outbound recipients create --name Desk --to desk@example.com --event support_conference_end\n" +
			"  outbound recipients create -f recipient.yaml",
		Args: arguments(),
	}
	flags.define(a, cmd, true)
	cmd.RunE = a.with(func(ctx context.Context, c *client, _ []string) error {
		t, err := flags.tree(a, cmd)
		if err != nil {
			return err
		}
		want, made := &outboundv1.Recipient{}, &outboundv1.Recipient{}
		if err := fill(t, want, flags.where()); err != nil {
			return err
		}
		if err := c.call(ctx, http.MethodPost, "/v1/recipients", want, made); err != nil {
			return err
		}
		return a.showSaved("created", made)
	})
	return cmd
}

func (a *app) recipientsUpdate() *cobra.Command {
	var flags recipientFlags
	var etag string
	cmd := &cobra.Command{
		Use:     "update RECIPIENT",
		Short:   "Update fields of a recipient, from a file or from flags",
		Example: "  outbound recipients update ticket-system --retry-interval 1m --contact ops@example.com",
		Args:    arguments("RECIPIENT"),
	}
	flags.define(a, cmd, false)
	cmd.Flags().StringVar(&etag, "etag", "", "fail if the recipient's etag is no longer this one")
	cmd.RunE = a.with(func(ctx context.Context, c *client, args []string) error {
		t, err := flags.tree(a, cmd)
		if err != nil {
			return err
		}
		want, saved := &outboundv1.Recipient{}, &outboundv1.Recipient{}
		if err := fill(t, want, flags.where()); err != nil {
			return err
		}
		if etag != "" {
			want.Etag = etag
		}
		mask := maskOf(t, want.ProtoReflect().Descriptor(), "")
		if len(mask) == 0 {
			return usage("nothing to change: set a field, see %q", cmd.CommandPath()+" --help")
		}
		if err := c.patch(ctx, recipientPath(args[0]), want, mask, saved); err != nil {
			return err
		}
		return a.showSaved("changed", saved)
	})
	return cmd
}

// patch changes the fields of a mask.
func (c *client) patch(ctx context.Context, path string, want proto.Message, mask []string, saved proto.Message) error {
	query := url.Values{"updateMask": {strings.Join(mask, ",")}}
	return c.call(ctx, http.MethodPatch, path+"?"+query.Encode(), want, saved)
}

// showSaved shows a saved recipient with its warnings and the signing secrets generated by the call.
func (a *app) showSaved(what string, r *outboundv1.Recipient) error {
	if a.output != "table" {
		return a.show(r, nil)
	}
	a.say("%s recipient %s", what, r.GetId())
	for _, n := range notesOf(r) {
		a.say("%s", n)
	}
	return nil
}

func notesOf(r *outboundv1.Recipient) []string {
	var out []string
	for _, w := range r.GetWarnings() {
		out = append(out, "warning: "+w)
	}
	for _, s := range r.GetHttp().GetSigningSecrets() {
		if s.GetSecret() != "" {
			out = append(out, "signing secret "+s.GetId()+", shown only once: "+s.GetSecret())
		}
		if s.GetPublicKey() != "" {
			out = append(out, "signing secret "+s.GetId()+", public key for the receiver: "+s.GetPublicKey())
		}
	}
	return out
}

func (a *app) recipientsDelete() *cobra.Command {
	var etag string
	cmd := &cobra.Command{
		Use: "delete RECIPIENT", Short: "Delete a recipient and cancel its pending deliveries", Args: arguments("RECIPIENT"),
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			query := url.Values{}
			if etag != "" {
				query.Set("etag", etag)
			}
			if err := c.call(ctx, http.MethodDelete, recipientPath(args[0])+"?"+query.Encode(), nil, nil); err != nil {
				return err
			}
			a.say("deleted recipient %s", args[0])
			return nil
		}),
	}
	cmd.Flags().StringVar(&etag, "etag", "", "fail if the recipient's etag is no longer this one")
	return cmd
}

func (a *app) recipientsSwitch(use, short string, enabled bool) *cobra.Command {
	return &cobra.Command{
		Use: use + " RECIPIENT", Short: short, Args: arguments("RECIPIENT"),
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			saved := &outboundv1.Recipient{}
			want := &outboundv1.Recipient{Enabled: proto.Bool(enabled)}
			if err := c.patch(ctx, recipientPath(args[0]), want, []string{"enabled"}, saved); err != nil {
				return err
			}
			return a.showSaved(use+"d", saved)
		}),
	}
}

func (a *app) recipientsTest() *cobra.Command {
	var eventType string
	var set []string
	cmd := &cobra.Command{
		Use:   "test RECIPIENT",
		Short: "Send a test event to a recipient on the normal delivery path",
		Args:  arguments("RECIPIENT"),
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			req := &outboundv1.TestRecipientRequest{EventType: eventType}
			if len(set) > 0 {
				data, err := pairs(set)
				if err != nil {
					return err
				}
				if req.Data, err = structpb.NewStruct(data); err != nil {
					return usage("--set: %w", err)
				}
			}
			resp := &outboundv1.TestRecipientResponse{}
			if err := c.call(ctx, http.MethodPost, recipientPath(args[0])+":test", req, resp); err != nil {
				return err
			}
			return a.show(resp, func() *table {
				return &table{rows: [][]string{
					{fmt.Sprintf("queued test event %s: see outbound deliveries list --event %s", resp.GetEventId(), resp.GetEventId())},
				}}
			})
		}),
	}
	cmd.Flags().StringVar(&eventType, "event", "", "event type (default: the recipient's first)")
	cmd.Flags().StringArrayVar(&set, "set", nil, "variable of the test event, as name=value; may be repeated")
	return cmd
}

// with connects before a command runs, and closes after it.
func (a *app) with(run func(context.Context, *client, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.close()
		return run(cmd.Context(), c, args)
	}
}

// pairs reads name=value arguments.
func pairs(list []string) (tree, error) {
	out := tree{}
	for _, p := range list {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, usage("%q is not in the form name=value", p)
		}
		out[name] = value
	}
	return out, nil
}
