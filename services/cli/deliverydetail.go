package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (a *app) deliveriesGet() *cobra.Command {
	var replay string
	cmd := &cobra.Command{
		Use:   "get RECIPIENT/EVENT",
		Short: "Show a delivery, its attempts and the request that was sent",
		Example: "  outbound deliveries get ticket-system/appliance-1~e-1\n" +
			"  outbound deliveries get ticket-system/appliance-1~e-1 --replay 01JD0V -o json",
		Args:              arguments("RECIPIENT/EVENT"),
		ValidArgsFunction: a.completeFirst(completeRecipientPrefix),
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			path, err := deliveryPath(args[0], replay)
			if err != nil {
				return err
			}
			d := &outboundv1.DeliveryDetail{}
			if err := c.call(ctx, http.MethodGet, path, nil, d); err != nil {
				return err
			}
			if a.output != "table" {
				return a.show(d, nil)
			}
			return a.showDelivery(d)
		}),
	}
	cmd.Flags().StringVar(&replay, "replay", "", "show the delivery of this replay or test instead of the original")
	return cmd
}

func deliveryPath(name, replay string) (string, error) {
	recipient, event, ok := strings.Cut(name, "/")
	if !ok || recipient == "" || event == "" {
		return "", usage("%q is not in the form RECIPIENT/EVENT", name)
	}
	path := "/v1/deliveries/" + url.PathEscape(recipient) + "/" + url.PathEscape(event)
	if replay != "" {
		path += "?" + url.Values{"replayId": {replay}}.Encode()
	}
	return path, nil
}

func (a *app) showDelivery(d *outboundv1.DeliveryDetail) error {
	if err := a.print(deliveryFacts(d.GetDelivery())); err != nil {
		return err
	}
	a.say("")
	attempts := &table{head: []string{"ATTEMPT", "AT", "STATE", "DURATION", "CODE", "REASON", "NEXT ATTEMPT", "RESPONSE"}}
	for _, x := range d.GetAttempts() {
		number, took := dash(""), dash("")
		if x.GetNumber() > 0 {
			number, took = fmt.Sprint(x.GetNumber()), fmt.Sprintf("%.0f ms", x.GetTookMs())
		}
		at := x.GetBeginTime()
		if at == nil {
			at = x.GetRecordTime()
		}
		why := reasonOf(x.GetReason(), x.GetDetail(), x.GetStatusCode())
		if x.GetActor() != "" {
			why += " (by " + x.GetActor() + ")"
		}
		attempts.add(number, clock(at), x.GetState().String(), took, code(x.GetStatusCode()), short(why), clock(x.GetNextAttemptTime()),
			short(x.GetResponseExcerpt()))
	}
	if err := a.print(attempts); err != nil {
		return err
	}
	if err := a.showAddresses(d.GetAddresses()); err != nil {
		return err
	}
	a.sayRequest(d)
	return nil
}

// showAddresses shows what became of each address of an email recipient.
func (a *app) showAddresses(addresses []*outboundv1.AddressOutcome) error {
	if len(addresses) == 0 {
		return nil
	}
	a.say("")
	t := &table{head: []string{"ADDRESS", "STATE", "CODE"}}
	for _, x := range addresses {
		t.add(x.GetAddress(), x.GetState(), code(x.GetCode()))
	}
	return a.print(t)
}

func deliveryFacts(d *outboundv1.Delivery) *table {
	t := &table{}
	for _, row := range [][2]string{
		{"recipient", named(d.GetRecipientId(), d.GetRecipientDisplayName())}, {"channel", d.GetChannel()}, {"event", eventName(d)},
		{"type", d.GetEventType()}, {"session", d.GetSessionId()}, {"external key", d.GetExternalKey()},
		{"state", d.GetState().String()}, {"reason", reason(d)}, {"class", d.GetReasonClass()}, {"attempts", fmt.Sprint(d.GetAttempts())},
		{"accepted", clock(d.GetAcceptTime())}, {"next attempt", clock(d.GetNextAttemptTime())}, {"expires", clock(d.GetExpireTime())},
		{"revision", fmt.Sprint(d.GetRecipientRevision())}, {"requested by", d.GetActor()},
	} {
		if row[1] != "" && row[1] != "-" && row[1] != "0" {
			t.add(row[0], row[1])
		}
	}
	return t
}

// sayRequest prints the request unchanged, line by line.
func (a *app) sayRequest(d *outboundv1.DeliveryDetail) {
	var lines []string
	switch {
	case d.GetHttp() != nil:
		lines = append(lines, d.GetHttp().GetMethod()+" "+d.GetHttp().GetUrl())
		for _, h := range d.GetHttp().GetHeaders() {
			lines = append(lines, h.GetName()+": "+h.GetValue())
		}
		lines = append(lines, "")
		lines = append(lines, strings.Split(d.GetHttp().GetBody(), "\n")...)
	case d.GetEmail() != nil:
		for _, h := range d.GetEmail().GetHeaders() {
			lines = append(lines, h.GetName()+": "+h.GetValue())
		}
		lines = append(lines, "")
		lines = append(lines, strings.Split(d.GetEmail().GetText(), "\n")...)
	}
	if d.GetRequestNote() != "" {
		a.say("")
		a.say("%s", d.GetRequestNote())
	}
	if len(lines) > 0 {
		a.say("")
	}
	for _, l := range lines {
		a.say("  %s", strings.TrimRight(l, "\r"))
	}
}

func (a *app) deliveriesTail() *cobra.Command {
	var filter deliveryFilter
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Stream deliveries as they are recorded, until interrupted",
		Long: "Tail streams deliveries as they are recorded from now on. An interrupt ends it with exit code 0. With -o json each\n" +
			"delivery is one line of JSON, with -o yaml one document.",
		Example: "  outbound deliveries tail --recipient ticket-system\n  outbound deliveries tail --state rejected -o json",
		Args:    arguments(),
	}
	filter.define(a, cmd)
	cmd.RunE = a.with(func(ctx context.Context, c *client, _ []string) error {
		query, err := filter.query(time.Now())
		if err != nil {
			return err
		}
		asked := url.Values{}
		for name := range query {
			if v := query.Get(name); v != "" {
				asked.Set("filter."+name, v)
			}
		}
		return a.tail(ctx, c, "/v1/deliveries:tail?"+asked.Encode())
	})
	return cmd
}

func (a *app) tail(ctx context.Context, c *client, path string) error {
	return a.follow(ctx, c, path, func() proto.Message { return &outboundv1.TailDeliveriesResponse{} }, func(m proto.Message) error {
		batch, ok := m.(*outboundv1.TailDeliveriesResponse)
		if !ok {
			return fmt.Errorf("decode a line of the stream: not a batch of deliveries: %T", m)
		}
		for _, d := range batch.GetDeliveries() {
			if err := a.showTailed(d); err != nil {
				return err
			}
		}
		if n := batch.GetMissed(); n > 0 {
			_, _ = fmt.Fprintf(a.Err, "%d more deliveries were recorded than could be shown: see outbound deliveries list\n", n)
		}
		return nil
	})
}

// showTailed prints a delivery in a line: columns would have to be known before they come.
func (a *app) showTailed(d *outboundv1.Delivery) error {
	if a.output != "table" {
		return a.showLine(d)
	}
	at := d.GetLastAttemptTime()
	if at == nil {
		at = d.GetAcceptTime()
	}
	a.say("%s  %-9s  %s/%s  %s  attempt %d  %s", clock(at), d.GetState(), d.GetRecipientId(), eventName(d), d.GetEventType(),
		d.GetAttempts(), short(reason(d)))
	return nil
}

// named returns an ID with its display name.
func named(id, name string) string {
	if name == "" || name == id {
		return id
	}
	return id + " (" + name + ")"
}

func code(n int32) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
