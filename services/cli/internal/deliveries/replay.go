package deliveries

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// ReplaysCommand makes the command `replays`.
func ReplaysCommand(env *command.Env) *cobra.Command {
	return command.Group("replays", "Replay deliveries, or backfill past events to a recipient",
		replaysPreview(env), replaysCreate(env), replaysList(env), replaysGet(env), replaysCancel(env))
}

func replaysPreview(env *command.Env) *cobra.Command {
	var flags replayFlags
	cmd := &cobra.Command{
		Use:   "preview",
		Short: "Show what a replay would send, without sending it",
		Example: "  outbound replays preview --recipient ticket-system --since 24h\n" +
			"  outbound replays preview --to ticket-system --backfill-since 48h",
		Args: command.Arguments(),
	}
	flags.define(env, cmd)
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		r, err := flags.replay(time.Now())
		if err != nil {
			return err
		}
		p := &outboundv1.PreviewReplayResponse{}
		if err := c.Call(ctx, http.MethodPost, "/v1/replays:preview", r, p); err != nil {
			return err
		}
		return env.Show(p, func() *output.Table {
			more := ""
			if p.GetMore() {
				more = " or more"
			}
			t := &output.Table{}
			t.Add("deliveries", fmt.Sprint(p.GetCount(), more))
			t.Add("already sent", fmt.Sprint(p.GetAlreadyDelivered()))
			t.Add("unavailable", fmt.Sprint(p.GetUnavailable()))
			t.Add("oldest", output.Clock(p.GetOldestTime()))
			t.Add("estimated time", output.Duration(p.GetEstimatedDuration().AsDuration()))
			return t
		})
	})
	return cmd
}

func replaysCreate(env *command.Env) *cobra.Command {
	var flags replayFlags
	var detach bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Start a replay and wait until it is queued",
		Long: "Start a replay and wait until all its deliveries are queued. The server runs the replay: it continues if this command stops.\n" +
			"Use `outbound replays preview` to see what a replay would send.",
		Example: "  outbound replays create --recipient ticket-system --since 24h --rate 100\n" +
			"  outbound replays create --recipient old-system --state delivered --to new-system\n" +
			"  outbound replays create --to new-system --backfill-since 48h --detach",
		Args: command.Arguments(),
	}
	flags.define(env, cmd)
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait until all is queued")
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		r, err := flags.replay(time.Now())
		if err != nil {
			return err
		}
		got := &outboundv1.Replay{}
		if err := c.Call(ctx, http.MethodPost, "/v1/replays", r, got); err != nil {
			return err
		}
		if detach {
			return env.Show(got, func() *output.Table { return replayTable([]*outboundv1.Replay{got}) })
		}
		return await(ctx, env, c, got)
	})
	return cmd
}

// lookEvery is how often a replay is polled.
const lookEvery = 500 * time.Millisecond

// await shows the progress of a replay until it ends, then its result. A replay that is not done is an error.
func await(ctx context.Context, env *command.Env, c *client.Client, r *outboundv1.Replay) error {
	drawn := env.Progress()
	defer drawn.End()
	for r.GetState() == outboundv1.Replay_RUNNING {
		line := fmt.Sprintf("replay %s: %d of %d queued", r.GetId(), r.GetQueued(), r.GetTotal())
		if r.GetDetail() != "" {
			line += ": " + r.GetDetail()
		}
		drawn.Show("%s", line)
		select {
		case <-ctx.Done():
			return fmt.Errorf("replay %s continues on the server: see outbound replays get, or cancel it: %w", r.GetId(), ctx.Err())
		case <-time.After(lookEvery):
		}
		next := &outboundv1.Replay{}
		if err := c.Call(ctx, http.MethodGet, "/v1/replays/"+r.GetId(), nil, next); err != nil {
			return err
		}
		r = next
	}
	drawn.End()
	if err := env.Show(r, func() *output.Table { return replayTable([]*outboundv1.Replay{r}) }); err != nil {
		return err
	}
	if r.GetState() != outboundv1.Replay_DONE {
		return fmt.Errorf("replay %s is %s: %s", r.GetId(), r.GetState(), r.GetDetail())
	}
	return nil
}

func replayTable(list []*outboundv1.Replay) *output.Table {
	t := &output.Table{Head: []string{"ID", "STATE", "TOTAL", "QUEUED", "UNAVAILABLE", "STARTED", "CREATED BY", "TO", "DETAIL"}}
	for _, r := range list {
		t.Add(r.GetId(), r.GetState().String(), fmt.Sprint(r.GetTotal()), fmt.Sprint(r.GetQueued()), fmt.Sprint(r.GetUnavailable()),
			output.Clock(r.GetCreateTime()), r.GetActor(), output.Dash(r.GetToRecipientId()), output.Dash(r.GetDetail()))
	}
	return t
}

func replaysList(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List replays, newest first", Args: command.Arguments(),
		RunE: env.With(func(ctx context.Context, c *client.Client, _ []string) error {
			all := &outboundv1.ListReplaysResponse{}
			if err := c.Call(ctx, http.MethodGet, "/v1/replays", nil, all); err != nil {
				return err
			}
			return env.Show(all, func() *output.Table { return replayTable(all.GetReplays()) })
		}),
	}
}

func replaysGet(env *command.Env) *cobra.Command {
	var wait bool
	cmd := &cobra.Command{Use: "get REPLAY", Short: "Show the progress of a replay", Args: command.Arguments("REPLAY")}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it is finished and show its progress")
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		r := &outboundv1.Replay{}
		if err := c.Call(ctx, http.MethodGet, "/v1/replays/"+url.PathEscape(args[0]), nil, r); err != nil {
			return err
		}
		if wait {
			return await(ctx, env, c, r)
		}
		return env.Show(r, func() *output.Table { return replayTable([]*outboundv1.Replay{r}) })
	})
	return cmd
}

func replaysCancel(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "cancel REPLAY", Short: "Cancel a replay (already queued deliveries still go out)", Args: command.Arguments("REPLAY"),
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			r := &outboundv1.Replay{}
			if err := c.Call(ctx, http.MethodPost, "/v1/replays/"+url.PathEscape(args[0])+":cancel", nil, r); err != nil {
				return err
			}
			return env.Show(r, func() *output.Table { return replayTable([]*outboundv1.Replay{r}) })
		}),
	}
}
