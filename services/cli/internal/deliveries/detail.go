package deliveries

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

func getCommand(env *command.Env) *cobra.Command {
	var replay string
	cmd := &cobra.Command{
		Use:   "get RECIPIENT/EVENT",
		Short: "Show a delivery, its attempts and the request that was sent",
		Example: "  outbound deliveries get ticket-system/appliance-1~e-1\n" +
			"  outbound deliveries get ticket-system/appliance-1~e-1 --replay 01JD0V -o json",
		Args:              command.Arguments("RECIPIENT/EVENT"),
		ValidArgsFunction: env.CompleteFirst(command.CompleteRecipientPrefix),
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			path, err := deliveryPath(args[0], replay)
			if err != nil {
				return err
			}
			d := &outboundv1.DeliveryDetail{}
			if err := c.Call(ctx, http.MethodGet, path, nil, d); err != nil {
				return err
			}
			if env.Structured() {
				return env.Show(d, nil)
			}
			return showDelivery(env, d)
		}),
	}
	cmd.Flags().StringVar(&replay, "replay", "", "show the delivery of this replay or test instead of the original")
	return cmd
}

func deliveryPath(name, replay string) (string, error) {
	recipient, event, ok := strings.Cut(name, "/")
	if !ok || recipient == "" || event == "" {
		return "", exit.Usagef("%q is not in the form RECIPIENT/EVENT", name)
	}
	path := "/v1/deliveries/" + url.PathEscape(recipient) + "/" + url.PathEscape(event)
	if replay != "" {
		path += "?" + url.Values{"replayId": {replay}}.Encode()
	}
	return path, nil
}

func showDelivery(env *command.Env, d *outboundv1.DeliveryDetail) error {
	if err := env.Print(deliveryFacts(d.GetDelivery())); err != nil {
		return err
	}
	env.Say("")
	attempts := &output.Table{Head: []string{"ATTEMPT", "AT", "STATE", "DURATION", "CODE", "REASON", "NEXT ATTEMPT", "RESPONSE"}}
	for _, x := range d.GetAttempts() {
		number, took := output.Dash(""), output.Dash("")
		if x.GetNumber() > 0 {
			number, took = fmt.Sprint(x.GetNumber()), fmt.Sprintf("%.0f ms", x.GetTookMs())
		}
		at := x.GetBeginTime()
		if at == nil {
			at = x.GetRecordTime()
		}
		why := ReasonOf(x.GetReason(), x.GetDetail(), x.GetStatusCode())
		if x.GetActor() != "" {
			why += " (by " + x.GetActor() + ")"
		}
		attempts.Add(number, output.Clock(at), x.GetState().String(), took, output.Code(x.GetStatusCode()), output.Short(why),
			output.Clock(x.GetNextAttemptTime()),
			output.Short(x.GetResponseExcerpt()))
	}
	if err := env.Print(attempts); err != nil {
		return err
	}
	if err := showAddresses(env, d.GetAddresses()); err != nil {
		return err
	}
	sayRequest(env, d)
	return nil
}

// showAddresses shows the outcome of each address of an email recipient.
func showAddresses(env *command.Env, addresses []*outboundv1.AddressOutcome) error {
	if len(addresses) == 0 {
		return nil
	}
	env.Say("")
	t := &output.Table{Head: []string{"ADDRESS", "STATE", "CODE"}}
	for _, x := range addresses {
		t.Add(x.GetAddress(), x.GetState(), output.Code(x.GetCode()))
	}
	return env.Print(t)
}

func deliveryFacts(d *outboundv1.Delivery) *output.Table {
	t := &output.Table{}
	for _, row := range [][2]string{
		{"recipient", output.Named(d.GetRecipientId(), d.GetRecipientDisplayName())}, {"channel", d.GetChannel()}, {"event", eventName(d)},
		{"type", d.GetEventType()}, {"session", d.GetSessionId()}, {"external key", d.GetExternalKey()},
		{"state", d.GetState().String()}, {"reason", reason(d)}, {"class", d.GetReasonClass()}, {"attempts", fmt.Sprint(d.GetAttempts())},
		{"accepted", output.Clock(d.GetAcceptTime())}, {"next attempt", output.Clock(d.GetNextAttemptTime())}, {"waits", d.GetWaitDetail()},
		{"expires", output.Clock(d.GetExpireTime())},
		{"sequence", fmt.Sprint(d.GetSequence())}, {"revision", fmt.Sprint(d.GetRecipientRevision())}, {"requested by", d.GetActor()},
	} {
		if row[1] != "" && row[1] != "-" && row[1] != "0" {
			t.Add(row[0], row[1])
		}
	}
	return t
}

// sayRequest prints the request line by line.
func sayRequest(env *command.Env, d *outboundv1.DeliveryDetail) {
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
		env.Say("")
		env.Say("%s", d.GetRequestNote())
	}
	if len(lines) > 0 {
		env.Say("")
	}
	for _, l := range lines {
		env.Say("  %s", strings.TrimRight(l, "\r"))
	}
}
