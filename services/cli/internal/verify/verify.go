// Package verify holds the commands `verify` and `prove`.
package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// flags are those of `verify`.
type flags struct {
	since, head, receipt string
	keys                 []string
	showKey              bool
}

// Command makes the command `verify`.
func Command(env *command.Env) *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use: "verify", Short: "Verify that no record of the delivery log was removed or changed", Args: command.Arguments(),
		Long: "Verify compares all records of the delivery log with their chains and with the signed checkpoints, names each that was\n" +
			"removed, changed, inserted or moved, and ends with exit code 1 then. It shows the newest checkpoint: with\n" +
			"--head NUMBER:HASH a later run tells whether the log was set back to a time before it.\n\n" +
			"With --receipt it verifies a receipt of `outbound prove`, and needs no server.",
		Example: "  outbound verify\n  outbound verify --since 24h -o json\n  outbound verify --show-key > outbound.vkey\n" +
			"  outbound verify --receipt receipt.json --key outbound.vkey",
	}
	cmd.Flags().StringVar(&f.since, "since", "", "only records from this time on: RFC 3339, or a duration before now, e.g. 24h")
	cmd.Flags().StringVar(&f.head, "head", "", "a checkpoint that was noted before, as NUMBER:HASH")
	cmd.Flags().BoolVar(&f.showKey, "show-key", false, "print the key that checkpoints and receipts are verified with")
	cmd.Flags().StringVar(&f.receipt, "receipt", "", "verify this receipt instead of the log, - for standard input")
	cmd.Flags().StringArrayVar(&f.keys, "key", nil, "verifier key of the receipt's log, or a file with it (repeatable)")
	cmd.MarkFlagsMutuallyExclusive("receipt", "since")
	cmd.MarkFlagsMutuallyExclusive("receipt", "head")
	cmd.MarkFlagsMutuallyExclusive("receipt", "show-key")
	online := env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		if f.showKey {
			return showKey(ctx, env, c)
		}
		return verify(ctx, env, c, f)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case f.receipt != "":
			return verifyReceipt(env, f)
		case len(f.keys) > 0:
			return exit.Usagef("--key is for a receipt: give it with --receipt FILE")
		default:
			return online(cmd, args)
		}
	}
	return cmd
}

func showKey(ctx context.Context, env *command.Env, c *client.Client) error {
	k := &outboundv1.CheckpointKey{}
	if err := c.Call(ctx, http.MethodGet, "/v1/deliveries:checkpointKey", nil, k); err != nil {
		return err
	}
	if env.Structured() {
		return env.Show(k, nil)
	}
	if k.GetKey() == "" {
		return errors.New("no checkpoints are made: set checkpointKey of the history service")
	}
	_, err := fmt.Fprintln(env.Out, k.GetKey())
	return err
}

func (f flags) path() (string, error) {
	query := url.Values{}
	since, err := command.Moment("--since", f.since, time.Now())
	if err != nil {
		return "", err
	}
	if since != "" {
		query.Set("since", since)
	}
	if f.head != "" {
		number, hash, ok := strings.Cut(f.head, ":")
		if n, err := strconv.ParseUint(number, 10, 64); err != nil || !ok || n == 0 || hash == "" {
			return "", exit.Usagef("--head %q is not NUMBER:HASH", f.head)
		}
		query.Set("headNumber", number)
		query.Set("headHash", hash)
	}
	if len(query) == 0 {
		return "/v1/deliveries:verify", nil
	}
	return "/v1/deliveries:verify?" + query.Encode(), nil
}

var errCutOff = errors.New("the verification ended early: run the command again")

func verify(ctx context.Context, env *command.Env, c *client.Client, f flags) error {
	if err := env.CheckFormat(); err != nil {
		return err
	}
	path, err := f.path()
	if err != nil {
		return err
	}
	bar := env.Progress()
	var result *outboundv1.DeliveryVerification
	err = c.Read(ctx, client.Subscription{
		Path: path,
		Next: func() proto.Message { return &outboundv1.VerifyDeliveriesResponse{} },
		Each: func(m proto.Message) error {
			x, _ := m.(*outboundv1.VerifyDeliveriesResponse)
			bar.Show("%d records, up to %d", x.GetRecords(), x.GetSequence())
			if x.GetResult() != nil {
				result = x.GetResult()
			}
			return nil
		},
	})
	bar.End()
	if err == nil && result == nil {
		err = errCutOff
	}
	if err != nil {
		return err
	}
	return show(env, result)
}

// errBroken is the error of a log with faults.
type errBroken uint64

// Error says how many there are.
func (e errBroken) Error() string {
	return fmt.Sprintf("the delivery log has faults (%d): records or checkpoints were removed, changed, inserted or moved", uint64(e))
}

func show(env *command.Env, r *outboundv1.DeliveryVerification) error {
	faults := uint64(len(r.GetFaults())) + r.GetOmittedFaults()
	if env.Structured() {
		if err := env.Show(r, nil); err != nil {
			return err
		}
	} else if err := say(env, r); err != nil {
		return err
	}
	if faults > 0 {
		return errBroken(faults)
	}
	if !env.Structured() {
		env.Say("no record was removed or changed")
	}
	return nil
}

func say(env *command.Env, r *outboundv1.DeliveryVerification) error {
	for _, f := range r.GetFaults() {
		if _, err := fmt.Fprintln(env.Out, line(f)); err != nil {
			return err
		}
	}
	if n := r.GetOmittedFaults(); n > 0 {
		env.Say("%d more faults are not listed", n)
	}
	for _, n := range r.GetNotes() {
		env.Say("note: %s", n)
	}
	if r.GetRecords() == 0 {
		env.Say("no records were compared")
	} else {
		env.Say("%d records, %d to %d; %d in chains", r.GetRecords(), r.GetFirstSequence(), r.GetLastSequence(), r.GetChainedRecords())
	}
	if r.GetCheckpoints() > 0 {
		env.Say("%d records are covered by %d checkpoints, %d to %d; head %d:%s, signed %s", r.GetCoveredRecords(), r.GetCheckpoints(),
			r.GetFirstCoveredSequence(), r.GetLastCoveredSequence(), r.GetHeadNumber(), r.GetHeadHash(), output.Clock(r.GetHeadTime()))
	}
	return nil
}

// line names what is wrong.
func line(f *outboundv1.DeliveryLogFault) string {
	where := "checkpoints"
	switch {
	case f.GetLastSequence() > f.GetSequence():
		where = fmt.Sprintf("%d-%d", f.GetSequence(), f.GetLastSequence())
	case f.GetSequence() > 0:
		where = fmt.Sprint(f.GetSequence())
	case f.GetCheckpoint() > 0:
		where = fmt.Sprintf("checkpoint %d", f.GetCheckpoint())
	}
	about := ""
	switch {
	case f.GetRecipientId() != "":
		about = fmt.Sprintf(" %s of %s/%s:", f.GetRecord(), f.GetRecipientId(), f.GetEventId())
	case f.GetRecord() != "":
		about = fmt.Sprintf(" %s of %s:", f.GetRecord(), f.GetEventId())
	}
	return fmt.Sprintf("%-9s %s:%s %s", f.GetKind(), where, about, f.GetText())
}
