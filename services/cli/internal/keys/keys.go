// Package keys holds the command `keys`.
package keys

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/pkg/secret"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// Command makes the command `keys`.
func Command(env *command.Env) *cobra.Command {
	c := command.Group("keys", "Show and rotate the keys that secrets are sealed with", listCommand(env), rotateCommand(env), newCommand())
	c.Long = "Show and rotate the keys that secrets of recipients and of the SMTP relay are sealed with. Only admins can do that.\n\n" +
		"Each sealed value begins with the id of its key. The keys themselves are never shown."
	return c
}

func listCommand(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the sealing keys, and how much is sealed with each", Args: command.Arguments(), Example: "  outbound keys list",
		RunE: env.With(func(ctx context.Context, c *client.Client, _ []string) error {
			all, err := list(ctx, c)
			if err != nil {
				return err
			}
			if err := env.Show(all, func() *output.Table { return table(all) }); err != nil || env.Structured() {
				return err
			}
			if r := all.GetRotation(); r != nil {
				env.Say("%s", told(r))
			}
			return nil
		}),
	}
}

func list(ctx context.Context, c *client.Client) (*outboundv1.ListKeysResponse, error) {
	all := &outboundv1.ListKeysResponse{}
	return all, c.Call(ctx, http.MethodGet, "/v1/keys", nil, all)
}

func table(all *outboundv1.ListKeysResponse) *output.Table {
	t := &output.Table{Head: []string{"ID", "STATE", "SECRETS", "IN REVISIONS", "KEPT IN"}}
	for _, k := range all.GetKeys() {
		t.Add(k.GetId(), k.GetState().String(), fmt.Sprint(k.GetSecrets()), fmt.Sprint(k.GetPastSecrets()), output.Dash(k.GetPlace()))
	}
	return t
}

// told is a rotation in words.
func told(r *outboundv1.KeyRotation) string {
	switch r.GetState() {
	case outboundv1.KeyRotation_RUNNING:
		return fmt.Sprintf("%d secrets are sealed with the key %s so far", r.GetResealed(), r.GetTo())
	case outboundv1.KeyRotation_INTERRUPTED:
		text := fmt.Sprintf("the rotation to the key %s was interrupted", r.GetTo())
		if r.GetError() != "" {
			text += ": " + r.GetError()
		}
		return text + ": run outbound keys rotate to continue"
	case outboundv1.KeyRotation_WAITING:
		if len(r.GetWaitingFor()) == 0 {
			return fmt.Sprintf("everything is sealed with the key %s; the key before is dropped in a moment", r.GetTo())
		}
		return fmt.Sprintf("everything is sealed with the key %s; the key before is kept until these have the new one: %s", r.GetTo(),
			strings.Join(r.GetWaitingFor(), "; "))
	case outboundv1.KeyRotation_DONE, outboundv1.KeyRotation_STATE_UNSPECIFIED:
	}
	return fmt.Sprintf("everything is sealed with the key %s since %s", r.GetTo(), output.Clock(r.GetEndTime()))
}

// pollEvery is the pause between two questions how far a rotation is.
const pollEvery = 250 * time.Millisecond

func rotateCommand(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "rotate", Short: "Seal everything with another key while the system runs", Args: command.Arguments(),
		Long: "Rotate seals all secrets of recipients, their revisions and the SMTP relay with another key. Deliveries go on. If it is\n" +
			"interrupted, run it again.\n\n" +
			"Where sealKey is a file that the config service can write, a new key is made and kept there. Otherwise put a keyset with a new\n" +
			"key and the old one there first (outbound keys new --after).",
		Example: "  outbound keys rotate",
		RunE: env.With(func(ctx context.Context, c *client.Client, _ []string) error {
			r := &outboundv1.KeyRotation{}
			if err := c.Call(ctx, http.MethodPost, "/v1/keys:rotate", &outboundv1.RotateKeysRequest{}, r); err != nil {
				return err
			}
			bar := env.Progress()
			defer bar.End()
			for r.GetState() == outboundv1.KeyRotation_RUNNING {
				bar.Show("%s", told(r))
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(pollEvery):
				}
				all, err := list(ctx, c)
				if err != nil {
					return fmt.Errorf("the rotation goes on, or can be continued by outbound keys rotate: %w", err)
				}
				r = all.GetRotation()
			}
			bar.End()
			if r.GetState() == outboundv1.KeyRotation_INTERRUPTED {
				return fmt.Errorf("%s", told(r))
			}
			return env.Show(r, func() *output.Table {
				t := &output.Table{Head: []string{"KEY", "STATE", "SEALED"}}
				t.Add(r.GetTo(), r.GetState().String(), fmt.Sprint(r.GetResealed()))
				return t
			})
		}),
	}
}

func newCommand() *cobra.Command {
	var after string
	var checkpoint bool
	cmd := &cobra.Command{
		Use: "new", Short: "Print a new sealing key, to be kept where sealKey names it", Args: command.Arguments(),
		Long: "New prints a new sealing key (a Tink keyset in JSON, AES-256-GCM). It needs no server. With --after, the keyset holds the new\n" +
			"key and those of an earlier keyset, so that both can be opened while outbound keys rotate runs.\n\n" +
			"With --checkpoint it prints a key that signs the checkpoints of the delivery log, to be kept where checkpointKey names it; with\n" +
			"--after as well, the verifier keys of an earlier one follow, so that its checkpoints can still be verified.",
		Example: "  outbound keys new > seal.key\n  outbound keys new --after file:seal.key\n" +
			"  outbound keys new --checkpoint > checkpoint.key",
	}
	cmd.Flags().StringVar(&after, "after", "", "place of the earlier keyset: file:PATH, env:NAME or exec:PROGRAM ARGUMENTS")
	cmd.Flags().BoolVar(&checkpoint, "checkpoint", false, "a key of checkpoints instead of a sealing key")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		place, err := secret.ParsePlace(after)
		if err != nil {
			return exit.Usagef("--after: %w", err)
		}
		if checkpoint {
			return newCheckpointKey(cmd.OutOrStdout(), place)
		}
		content, err := secret.NewKeyset()
		if place.Given() {
			earlier, loadErr := place.Load()
			if loadErr != nil {
				return fmt.Errorf("--after: %w", loadErr)
			}
			content, err = secret.NewKeysetAfter(earlier)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s", content)
		return err
	}
	return cmd
}
