// Package forward holds the command `events forward`: events that the nats-server of a site keeps are sent to Outbound when it can be
// reached.
package forward

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/pkg/bus/site"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/rpc/eventhttp"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

const (
	// firstWait is after which time an event is tried again, and lastWait after which at most.
	firstWait, lastWait = time.Second, 30 * time.Second
	// tryFor bounds one request.
	tryFor = time.Minute
	// emptyPoll is the pause between two looks whether anything waits, with --once.
	emptyPoll = 250 * time.Millisecond
	// maxInFlight is how many events may be under way at most.
	maxInFlight = 256
)

// options are the flags of one run.
type options struct {
	*command.Env
	site         site.Options
	passwordFile string
	once         bool
}

// Command makes the command `events forward`.
func Command(env *command.Env) *cobra.Command {
	o := options{Env: env}
	cmd := &cobra.Command{
		Use:   "forward",
		Short: "Forward the events that a site's nats-server keeps",
		Long: "Forward reads events from a JetStream stream of a nats-server at the site of an appliance and publishes each with its own id.\n" +
			"An event leaves the stream when Outbound has accepted it. While Outbound cannot be reached, events wait in the stream; a\n" +
			"repeat is a duplicate, which Outbound ignores. An event that Outbound rejects for good is in the rejected events.\n\n" +
			"The token is that of the appliance, or of a user who may publish for all.",
		Example: "  outbound events forward --stream SITE --subject 'site.events.>'\n" +
			"  outbound events forward --nats nats://10.0.0.5:4222 --nats-creds site.creds --stream SITE --in-flight 1\n" +
			"  outbound events forward --stream SITE --once",
		Args: command.Arguments(),
	}
	f := cmd.Flags()
	f.StringVar(&o.site.URL, "nats", "nats://127.0.0.1:4222", "address of the site's nats-server")
	f.StringVar(&o.site.CredentialsFile, "nats-creds", "", "credentials file for it")
	f.StringVar(&o.site.User, "nats-user", "", "user name for it, with --nats-password-file")
	f.StringVar(&o.passwordFile, "nats-password-file", "", "file with the password of --nats-user")
	f.StringVar(&o.site.CAFile, "nats-ca-file", "", "PEM file with the CA of its certificate (default: the system's CAs)")
	f.StringVar(&o.site.Stream, "stream", "", "stream that keeps the events (required)")
	f.StringVar(&o.site.Consumer, "consumer", "outbound-forward", "durable consumer that remembers what was forwarded")
	f.StringSliceVar(&o.site.Subjects, "subject", nil, "subjects of the stream, which is created if it does not exist; may be repeated")
	f.Int64Var(&o.site.MaxBytes, "max-bytes", 1<<30, "size limit of a stream that is created; a full stream refuses events")
	f.IntVar(&o.site.InFlight, "in-flight", 16, "events under way at once; 1 keeps their order")
	f.BoolVar(&o.once, "once", false, "end when no event waits")
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error { return o.run(ctx, c) })
	return cmd
}

func (o *options) check() error {
	switch {
	case o.site.Stream == "":
		return exit.Usagef("events forward needs --stream")
	case o.site.InFlight < 1 || o.site.InFlight > maxInFlight:
		return exit.Usagef("--in-flight %d is out of range: use 1 to %d", o.site.InFlight, maxInFlight)
	case (o.site.User == "") != (o.passwordFile == ""):
		return exit.Usagef("use --nats-user and --nats-password-file together")
	case o.site.User != "" && o.site.CredentialsFile != "":
		return exit.Usagef("use either --nats-creds or --nats-user")
	case o.passwordFile == "":
		return nil
	}
	password, err := os.ReadFile(o.passwordFile)
	if err != nil {
		return exit.Usagef("read --nats-password-file: %w", err)
	}
	o.site.Password = strings.TrimRight(string(password), "\r\n")
	return nil
}

// run forwards until ctx ends, or with --once until nothing waits.
func (o *options) run(ctx context.Context, c *client.Client) error {
	if err := o.check(); err != nil {
		return err
	}
	t := &tally{env: o.Env}
	q, err := site.Open(ctx, o.site, t.trouble)
	if errors.Is(err, site.ErrNoStream) {
		return exit.Usagef("%w: name its subjects with --subject to create it", err)
	}
	if err != nil {
		return err
	}
	defer q.Close()
	waiting, err := q.Waiting(ctx)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(o.Err, "forwarding %s from %s to %s: %d waiting\n", o.site.Stream, o.site.URL, c.Address(), waiting)
	taking, stop := context.WithCancel(ctx)
	defer stop()
	var empty sync.WaitGroup
	if o.once {
		empty.Go(func() { awaitEmpty(taking, q, stop, t) })
	}
	q.Run(taking, func(e site.Event) site.Answer { return forward(context.WithoutCancel(ctx), c, e, t) })
	empty.Wait()
	return t.show()
}

// awaitEmpty calls stop when nothing waits.
func awaitEmpty(ctx context.Context, q *site.Queue, stop func(), t *tally) {
	for ctx.Err() == nil {
		n, err := q.Waiting(ctx)
		if err == nil && n == 0 {
			stop()
			return
		}
		if err != nil {
			t.trouble(err)
		}
		pause.For(ctx, emptyPoll)
	}
}

// forward publishes an event as it was published at the site.
func forward(ctx context.Context, c *client.Client, e site.Event, t *tally) site.Answer {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	resp, err := c.Publish(ctx, eventhttp.Structured(e.Header, e.Data))
	if err == nil {
		t.accepted(resp.GetDuplicate())
		return site.Answer{}
	}
	var refusal *client.APIError
	if errors.As(err, &refusal) && refusal.OfEvent() {
		t.refused(e, refusal)
		return site.Answer{Refused: refusal.Error()}
	}
	t.trouble(err)
	return site.Answer{Again: wait(e.Try)}
}

// wait is after which time an event is tried again.
func wait(try uint64) time.Duration {
	return min(firstWait<<min(max(try, 1)-1, 10), lastWait)
}
