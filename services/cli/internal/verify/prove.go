package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/tlog"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// ProveCommand makes the command `prove`.
func ProveCommand(env *command.Env) *cobra.Command {
	var file, replay string
	cmd := &cobra.Command{
		Use: "prove RECIPIENT/EVENT", Short: "Write a receipt of a delivery that others can verify without this server",
		Long: "Prove writes a receipt: all records of a delivery and of the event's acceptance, with a proof for each that a signed\n" +
			"checkpoint covers it. Whoever has the key of `outbound verify --show-key` verifies it with `outbound verify --receipt FILE\n" +
			"--key KEY`.",
		Example: "  outbound prove ticket-system/appliance-1~e-1 -f receipt.json",
		Args:    command.Arguments("RECIPIENT/EVENT"), ValidArgsFunction: env.CompleteFirst(command.CompleteRecipientPrefix),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "-", "file to write, - for standard output")
	cmd.Flags().StringVar(&replay, "replay", "", "the delivery of this replay or test instead of the original")
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		recipient, event, ok := strings.Cut(args[0], "/")
		if !ok || recipient == "" || event == "" {
			return exit.Usagef("%q is not in the form RECIPIENT/EVENT", args[0])
		}
		path := "/v1/deliveries/" + url.PathEscape(recipient) + "/" + url.PathEscape(event) + ":prove"
		if replay != "" {
			path += "?" + url.Values{"replayId": {replay}}.Encode()
		}
		r := &outboundv1.DeliveryReceipt{}
		if err := c.Call(ctx, http.MethodGet, path, nil, r); err != nil {
			return err
		}
		return write(env, file, r.GetReceipt()+"\n")
	})
	return cmd
}

// write writes a file that is not there yet.
func write(env *command.Env, file, text string) error {
	if file == "-" {
		_, err := io.WriteString(env.Out, text)
		return err
	}
	const private = 0o600
	w, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, private)
	if err != nil {
		return fmt.Errorf("write the receipt: %w: choose another file", err)
	}
	_, err = w.WriteString(text)
	if closeErr := w.Close(); err == nil {
		err = closeErr
	}
	return err
}

// receiptResult is what a verification of a receipt says.
type receiptResult struct {
	Recipient string          `json:"recipient"`
	Event     string          `json:"event"`
	Replay    string          `json:"replay,omitempty"`
	Records   []receiptRecord `json:"records"`
}

type receiptRecord struct {
	Sequence   uint64          `json:"sequence"`
	Stored     time.Time       `json:"stored"`
	Subject    string          `json:"subject"`
	Origin     string          `json:"origin"`
	Checkpoint uint64          `json:"checkpoint"`
	Signed     time.Time       `json:"signed"`
	Record     json.RawMessage `json:"record"`
}

// verifyReceipt verifies a receipt without a server.
func verifyReceipt(env *command.Env, f flags) error {
	if err := env.CheckFormat(); err != nil {
		return err
	}
	if len(f.keys) == 0 {
		return exit.Usagef("--receipt needs --key KEY or --key FILE: the verifier key, which you have from the operator of the log")
	}
	keys, err := trusted(f.keys)
	if err != nil {
		return err
	}
	raw, err := env.Files.Read(f.receipt)
	if err != nil {
		return err
	}
	var r tlog.Receipt
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("%s is no receipt: %w", f.receipt, err)
	}
	signed, err := r.Verify(keys)
	if err == nil {
		err = matches(r)
	}
	if err != nil {
		return fmt.Errorf("the receipt does not verify: %w", err)
	}
	out := receiptResult{Recipient: r.Recipient, Event: r.Event, Replay: r.Replay}
	for i, p := range r.Records {
		out.Records = append(out.Records, receiptRecord{Sequence: p.Sequence, Stored: p.Stored, Subject: p.Subject, Origin: signed[i].Origin,
			Checkpoint: signed[i].Number, Signed: signed[i].Time, Record: json.RawMessage(p.Data)})
	}
	if env.Structured() {
		text, err := json.Marshal(out)
		if err != nil {
			return err
		}
		return env.ShowJSON(text)
	}
	for _, x := range out.Records {
		env.Say("%d  %s  %s\n   %s\n   covered by checkpoint %d of %s, signed %s", x.Sequence, x.Stored.UTC().Format(time.RFC3339Nano), x.Subject,
			x.Record, x.Checkpoint, x.Origin, x.Signed.UTC().Format(time.RFC3339))
	}
	env.Say("the receipt verifies: %d records of %s/%s", len(out.Records), r.Recipient, r.Event)
	return nil
}

// matches is an error if a record is of another delivery than the receipt says.
func matches(r tlog.Receipt) error {
	delivery := r.Event
	if r.Replay != "" {
		delivery += "~" + r.Replay
	}
	for _, p := range r.Records {
		what, recipient, event := deliverylog.About(p.Subject)
		accepted := what == deliverylog.Accepted && event == r.Event
		if !accepted && (recipient != r.Recipient || event != delivery) {
			return fmt.Errorf("record %d is not of %s/%s", p.Sequence, r.Recipient, delivery)
		}
	}
	return nil
}

// trusted reads verifier keys: a key itself, or a file with one in each line.
func trusted(given []string) (*tlog.Keys, error) {
	var lines []string
	for _, g := range given {
		if _, err := tlog.Trust(g); err == nil {
			lines = append(lines, g)
			continue
		}
		raw, err := os.ReadFile(g) //nolint:gosec // the caller names the file
		if err != nil {
			return nil, exit.Usagef("--key %q is neither a verifier key (NAME+HASH+KEY) nor a file that can be read: %w", g, err)
		}
		for _, line := range strings.Split(string(raw), "\n") {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
	}
	keys, err := tlog.Trust(lines...)
	if err != nil {
		return nil, exit.Usagef("--key: %w", err)
	}
	return keys, nil
}
