package access

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// TokensCommand makes the command `tokens`.
func TokensCommand(env *command.Env) *cobra.Command {
	return command.Group("tokens", "Manage API tokens", tokensList(env), tokensCreate(env), tokensDelete(env))
}

func tokensList(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List API tokens (without secrets)", Args: command.Arguments(), Example: "  outbound tokens list",
		RunE: env.With(func(ctx context.Context, c *client.Client, _ []string) error {
			all := &outboundv1.ListTokensResponse{}
			if err := c.Call(ctx, http.MethodGet, "/v1/tokens", nil, all); err != nil {
				return err
			}
			return env.Show(all, func() *output.Table {
				t := &output.Table{Head: []string{"ID", "NAME", "ROLE", "RECIPIENT", "CREATED", "CREATED BY", "EXPIRES"}}
				for _, x := range all.GetTokens() {
					t.Add(x.GetId(), x.GetDisplayName(), roleWord(x.GetRole()), output.Dash(x.GetRecipientId()), output.Clock(x.GetCreateTime()),
						output.Dash(x.GetCreator()), expires(x))
				}
				return t
			})
		}),
	}
}

func tokensCreate(env *command.Env) *cobra.Command {
	var role, recipient string
	var ends time.Duration
	var never bool
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create an API token; its secret is shown only once", Args: command.Arguments("NAME"),
		Example: "  outbound tokens create CI --role operator --expires-in 30d\n  outbound tokens create exporter --never-expires\n" +
			"  outbound tokens create ticket-receiver --role receiver --recipient ticket-system",
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			kind, err := roleOf(role, tokenRoles())
			if err != nil {
				return err
			}
			if never && ends != 0 {
				return exit.Usagef("--never-expires and --expires-in exclude each other")
			}
			t := &outboundv1.Token{DisplayName: args[0], Role: kind, RecipientId: recipient, NeverExpires: never}
			if ends != 0 {
				t.ExpireTime = timestamppb.New(time.Now().Add(ends))
			}
			made := &outboundv1.CreateTokenResponse{}
			if err := c.Call(ctx, http.MethodPost, "/v1/tokens", t, made); err != nil {
				return err
			}
			return env.Show(made, func() *output.Table { return madeToken(made) })
		}),
	}
	cmd.Flags().StringVar(&role, "role", "viewer", "role: viewer, operator, admin, or receiver for one that pulls deliveries")
	cmd.Flags().StringVar(&recipient, "recipient", "", "HTTP recipient whose deliveries a receiver pulls")
	command.NameFields(cmd, map[string]string{"role": "role", "recipientId": "recipient", "expireTime": "expires-in",
		"neverExpires": "never-expires"})
	command.DurationVar(cmd.Flags(), &ends, "expires-in", "time until the token expires, e.g. 24h or 30d (default 90d)")
	cmd.Flags().BoolVar(&never, "never-expires", false, "create a token that is valid until it is deleted")
	return cmd
}

// madeToken is the table of a new token.
func madeToken(made *outboundv1.CreateTokenResponse) *output.Table {
	t := &output.Table{}
	t.Add("id", made.GetToken().GetId())
	t.Add("role", roleWord(made.GetToken().GetRole()))
	if id := made.GetToken().GetRecipientId(); id != "" {
		t.Add("recipient", id)
	}
	t.Add("expires", expires(made.GetToken()))
	t.Add("secret", made.GetSecret())
	t.Add("The secret is shown only once. Send it as Authorization: Bearer, or set OUTBOUND_TOKEN.")
	return t
}

// expires is when a token expires.
func expires(t *outboundv1.Token) string {
	if t.GetExpireTime() == nil {
		return "never"
	}
	return output.Clock(t.GetExpireTime())
}

func tokensDelete(env *command.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete ID", Short: "Revoke an API token immediately", Args: command.Arguments("ID"), Example: "  outbound tokens delete k3m9x2p7qa",
	}
	command.YesFlag(cmd)
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		if err := env.Confirm(cmd, "Revoke token "+args[0]+"? Programs that use it lose access."); err != nil {
			return err
		}
		if err := c.Call(ctx, http.MethodDelete, "/v1/tokens/"+url.PathEscape(args[0]), nil, nil); err != nil {
			return err
		}
		env.Say("deleted token %s", args[0])
		return nil
	})
	return cmd
}
