package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/services/repair"
)

// repairFlags are those of `outbound repair`.
type repairFlags struct {
	o           repair.Options
	dryRun, yes bool
	acknowledge bool
	giveUp      bool
	cancelQueue []string
}

// repairCommand finds what the broker's store has lost and makes it usable again.
func repairCommand() *cobra.Command {
	var flags repairFlags
	flags.o.Streams = bus.DefaultStreamOptions()
	c := &cobra.Command{
		Use:   "repair",
		Short: "Repair a damaged store and tell what was lost",
		Long: `Repair finds what the broker's store has lost and makes the store usable again.

It works on the data directory of a server that is stopped (--data), or on a running nats-server (--nats). Deliveries of
events that are gone are recorded as CANCELLED (event_lost), where the log knows of them. Damaged files are kept.
The loss is shown in outbound status for 7 days, or until outbound repair --acknowledge.

Restore a backup instead if there is one: a repair does not bring back what is gone.`,
		Example: "  outbound repair --data ./data --dry-run\n  outbound repair --data ./data\n" +
			"  outbound repair --nats nats://127.0.0.1:4222 --creds-file core.creds",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (flags.o.Data == "") == (flags.o.NATS.URL == "") {
				return usage{errors.New("say which store: --data DIR for the data directory of a stopped server, or --nats URL for a broker")}
			}
			return runRepair(cmd.Context(), flags, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&flags.o.Data, "data", "", "data directory of a server that is stopped")
	f.StringVar(&flags.o.JetStreamKey, "jetstream-key", "", "with --data: jetstreamKey of the server")
	f.StringVar(&flags.o.NATS.URL, "nats", "", "address of an external nats-server, e.g. nats://127.0.0.1:4222")
	f.StringVar(&flags.o.NATS.User, "user", "", "user at the nats-server")
	f.StringVar(&flags.o.NATS.PasswordFile, "password-file", "", "file with the password at the nats-server")
	f.StringVar(&flags.o.NATS.CredsFile, "creds-file", "", "credentials file for a nats-server in operator mode")
	f.StringVar(&flags.o.NATS.CAFile, "ca-file", "", "file with root certificates (PEM) for tls:// addresses")
	f.Int64Var(&flags.o.Streams.EventsMaxBytes, "events-max-bytes", flags.o.Streams.EventsMaxBytes, "streams.eventsMaxBytes of the server")
	f.IntVar(&flags.o.Streams.Replicas, "replicas", flags.o.Streams.Replicas, "streams.replicas of the server")
	f.BoolVar(&flags.dryRun, "dry-run", false, "show what is damaged and change nothing")
	f.BoolVar(&flags.yes, "yes", false, "do not ask")
	f.BoolVar(&flags.acknowledge, "acknowledge", false, "confirm past repairs, so that outbound status shows them no longer")
	f.BoolVar(&flags.giveUp, "give-up-secrets", false,
		"have the services start without the key that has sealed the secrets; they must be entered again")
	f.StringArrayVar(&flags.cancelQueue, "cancel-queue", nil, "end the queue of a recipient that was lost, by its id; may be repeated")
	return c
}

func runRepair(ctx context.Context, flags repairFlags, in io.Reader, out io.Writer) error {
	flags.o.Logger = slog.Default()
	s, err := repair.Open(ctx, flags.o)
	if err != nil {
		return err
	}
	defer s.Close()
	if flags.acknowledge {
		n, err := s.Acknowledge(ctx)
		if err == nil {
			fmt.Fprintf(out, "%d repairs acknowledged\n", n)
		}
		return err
	}
	if flags.giveUp {
		err := s.GiveUpSecrets(ctx)
		if err == nil {
			fmt.Fprintln(out, "secrets that can't be opened are given up: enter them again")
		}
		return err
	}
	for _, id := range flags.cancelQueue {
		n, err := s.CancelQueue(ctx, id)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%d deliveries of recipient %s ended as CANCELLED (recipient_lost)\n", n, id)
	}
	if len(flags.cancelQueue) > 0 {
		return nil
	}
	found := s.Findings()
	if len(found) == 0 {
		fmt.Fprintln(out, "nothing is damaged")
		return nil
	}
	for _, f := range found {
		fmt.Fprintln(out, "-", f)
	}
	if flags.dryRun {
		fmt.Fprintln(out, "nothing was changed (--dry-run)")
		return nil
	}
	if !flags.yes && !agrees(in, out) {
		return errors.New("nothing was repaired: confirm with yes, or use --yes")
	}
	text, err := s.Repair(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "repaired:", text)
	return nil
}

func agrees(in io.Reader, out io.Writer) bool {
	fmt.Fprint(out, "Repair the store? What is gone does not come back. yes or no: ")
	line, _ := bufio.NewReader(in).ReadString('\n')
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "yes" || answer == "y"
}
