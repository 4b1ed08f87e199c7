// Package listen holds the command `listen`: a receiver on this host that shows what Outbound delivers.
package listen

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

const (
	// prefix begins the ids of temporary recipients.
	prefix = "listen-"
	// removeTimeout bounds the removal of the recipient at the end.
	removeTimeout = 10 * time.Second
	// The temporary recipient retries soon, and not for long.
	retryInterval, retryDuration = 5 * time.Second, 10 * time.Minute
)

// options are the flags of one run.
type options struct {
	*command.Env
	forward, address, format, filter string
	types, appliances                []string
	count                            int
}

// Command makes the command `listen`.
func Command(env *command.Env) *cobra.Command {
	o := options{Env: env}
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Receive events on this host and print them",
		Long: "Listen receives events on this host and prints them. It starts a receiver, creates a temporary recipient that points to it,\n" +
			"verifies the signature of each request, and removes the recipient when it ends or is interrupted (Ctrl-C).\n\n" +
			"The server must be allowed to connect to the receiver: for one on the server's own host, start the server with\n" +
			"--allow-egress 127.0.0.0/8. For a server on another host, set --address to an address of this host that it reaches.",
		Example: "  outbound listen\n" +
			"  outbound listen --event support_conference_end --forward-to http://localhost:3000/hook\n" +
			"  outbound listen --count 1 -o json",
		Args: command.Arguments(),
	}
	f := cmd.Flags()
	f.StringVar(&o.forward, "forward-to", "", "URL that each request is passed on to; its response is the receiver's")
	f.StringSliceVar(&o.types, "event", nil, "event types to receive; may be repeated (default: all)")
	f.StringSliceVar(&o.appliances, "appliance", nil, "receive events only from this appliance; may be repeated (default: all)")
	f.StringVar(&o.filter, "filter", "", "CEL expression that events must match")
	f.StringVar(&o.format, "format", "json", "body format: form, json or json_binary")
	f.StringVar(&o.address, "address", "127.0.0.1:0", "address to listen on, which the server connects to; port 0 picks a free port")
	f.IntVar(&o.count, "count", 0, "end after this many events (default: when interrupted)")
	command.NameFields(cmd, map[string]string{"eventTypes": "event", "appliances": "appliance", "filter": "filter", "http.format": "format"})
	env.CompleteFlags(cmd, map[string]command.Completion{
		"event": command.CompleteEventTypes, "appliance": command.CompleteAppliances, "format": command.Words("form", "json", "json_binary"),
	})
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error { return o.run(ctx, c) })
	return cmd
}

// run receives until ctx ends or enough has come.
func (o *options) run(ctx context.Context, c *client.Client) (err error) {
	if o.count < 0 {
		return exit.Usagef("--count must not be negative")
	}
	forward, err := forwarder(o.forward)
	if err != nil {
		return err
	}
	l, pem, err := listenTLS(o.address)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	want, err := o.recipient(ctx, c, l.Addr(), pem)
	if err != nil {
		return err
	}
	o.leftovers(ctx, c)
	// An interrupt while the recipient is created must not leave it behind.
	made := &outboundv1.Recipient{}
	if err := c.Call(context.WithoutCancel(ctx), http.MethodPost, "/v1/recipients", want, made); err != nil {
		return o.explain(err, want)
	}
	secret := ""
	for _, s := range made.GetHttp().GetSigningSecrets() {
		secret = s.GetSecret()
	}
	receiver := newReceiver(o.Printer, secret, forward)
	serve := &http.Server{Handler: receiver, ReadHeaderTimeout: 10 * time.Second, ErrorLog: discard()}
	served := make(chan error, 1)
	go func() { served <- serve.Serve(l) }()
	defer func() {
		err = errors.Join(err, o.remove(ctx, c, made.GetId()))
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
		defer cancel()
		if stopped := serve.Shutdown(stopping); stopped != nil {
			err = errors.Join(err, fmt.Errorf("stop the receiver: %w", stopped), serve.Close())
		}
		if ended := <-served; ended != nil && !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, fmt.Errorf("receive: %w", ended))
		}
	}()
	if err := o.reach(ctx, c, made); err != nil || ctx.Err() != nil {
		return err
	}
	o.announce(made, receiver)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			served <- nil
			return fmt.Errorf("receive on %s: %w", l.Addr(), err)
		case n := <-receiver.received:
			if o.count > 0 && n >= o.count {
				return nil
			}
		}
	}
}

// recipient is the temporary recipient for a receiver with a certificate of its own.
func (o *options) recipient(ctx context.Context, c *client.Client, at net.Addr, pem string) (*outboundv1.Recipient, error) {
	format, ok := outboundv1.HttpRecipient_Format_Kind_value[strings.ToUpper(strings.ReplaceAll(o.format, "-", "_"))]
	if !ok {
		return nil, exit.Usagef("--format %q is not a format: use form, json or json_binary", o.format)
	}
	types := o.types
	if len(types) == 0 {
		all := &outboundv1.ListEventTypesResponse{}
		if err := c.Call(ctx, http.MethodGet, "/v1/event-types", nil, all); err != nil {
			return nil, err
		}
		for _, t := range all.GetEventTypes() {
			types = append(types, t.GetId())
		}
	}
	suffix := strings.ToLower(rand.Text()[:8])
	return &outboundv1.Recipient{
		Id: prefix + suffix, DisplayName: displayName(suffix), EventTypes: types, Appliances: o.appliances, Filter: o.filter,
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{
			Url: "https://" + at.String() + "/", CaCertificatePem: pem, Format: outboundv1.HttpRecipient_Format_Kind(format), SendCustomFields: true,
			Success: outboundv1.HttpRecipient_Success_ANY_2XX, SigningSecrets: []*outboundv1.SigningSecret{{}},
			RetryInterval: durationpb.New(retryInterval), RetryDuration: durationpb.New(retryDuration),
		}},
	}, nil
}

// displayName tells others whose the recipient is.
func displayName(suffix string) string { return "outbound listen on " + hostname() + ", " + suffix }

func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" || len(name) > 50 {
		return "a host"
	}
	return name
}

// explain says what to do about a recipient that is refused for its URL.
func (o *options) explain(err error, want *outboundv1.Recipient) error {
	var refused *client.APIError
	if errors.As(err, &refused) && refused.Names("http.url") {
		return fmt.Errorf("the server's URL policy does not allow %s: start it with --url-policy https or any: %w", want.GetHttp().GetUrl(), err)
	}
	return err
}

// reach has the server diagnose the way to the receiver. What it finds is an error that says what to do.
func (o *options) reach(ctx context.Context, c *client.Client, r *outboundv1.Recipient) error {
	found := &outboundv1.DoctorRecipientResponse{}
	err := c.Call(ctx, http.MethodPost, client.RecipientPath(r.GetId())+":doctor", &outboundv1.DoctorRecipientRequest{}, found)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // interrupted
	}
	if err != nil {
		return err
	}
	for _, s := range found.GetSteps() {
		if s.GetOk() {
			continue
		}
		return fmt.Errorf("the server cannot deliver to %s: %s: %s: %s%s", r.GetHttp().GetUrl(), s.GetName(), s.GetDetail(), s.GetRemedy(),
			loopbackHint(r.GetHttp().GetUrl(), s.GetDetail()))
	}
	return nil
}

// loopbackHint says what the two usual causes need.
func loopbackHint(raw, detail string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	ip := net.ParseIP(u.Hostname())
	switch {
	case ip == nil || !ip.IsLoopback():
		return ""
	case strings.Contains(detail, "forbidden"):
		return ". By default, Outbound connects to no address of its own host: restart it with --allow-egress 127.0.0.0/8 " +
			"for development, or let it deliver to another host with --address"
	default:
		return ". If the server runs on another host, set --address to an address of this host that it reaches"
	}
}

// remove removes the recipient, also after an interrupt.
func (o *options) remove(ctx context.Context, c *client.Client, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	if err := c.Call(ctx, http.MethodDelete, client.RecipientPath(id), nil, nil); err != nil {
		return fmt.Errorf("recipient %s is left behind: %w: remove it with \"outbound recipients delete %s\"", id, err, id)
	}
	o.Note("removed recipient %s", id)
	return nil
}

// leftovers names the recipients of earlier runs on this host that were killed, so that nothing listens behind them any more.
func (o *options) leftovers(ctx context.Context, c *client.Client) {
	all, err := c.AllRecipients(ctx)
	if err != nil {
		return
	}
	for _, r := range all.GetRecipients() {
		suffix, ours := strings.CutPrefix(r.GetId(), prefix)
		u, err := url.Parse(r.GetHttp().GetUrl())
		if !ours || err != nil || r.GetDisplayName() != displayName(suffix) || r.GetDeleteTime() != nil {
			continue
		}
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", u.Host)
		if err == nil {
			_ = conn.Close()
			continue
		}
		o.Note("recipient %s is left of an earlier listen that was killed: remove it with \"outbound recipients delete %s\"", r.GetId(),
			r.GetId())
	}
}

// announce says what is received, and how to send an event.
func (o *options) announce(r *outboundv1.Recipient, receiver *receiver) {
	what := fmt.Sprintf("%d event types", len(r.GetEventTypes()))
	if len(r.GetEventTypes()) <= 3 {
		what = strings.Join(r.GetEventTypes(), ", ")
	}
	o.Note("recipient %s receives %s at %s", r.GetId(), what, r.GetHttp().GetUrl())
	if receiver.forward != nil {
		o.Note("passing on to %s; its signing secret is %s", receiver.forward.to, receiver.secret)
	}
	o.Note("Ctrl-C ends it and removes the recipient. Send an event from another terminal:")
	o.Note("  outbound%s events publish --appliance APPLIANCE --event %s", o.Source.Arguments(), r.GetEventTypes()[0])
}
