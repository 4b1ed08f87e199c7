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
				t := &output.Table{Head: []string{"ID", "NAME", "ROLE", "CREATED", "CREATED BY", "EXPIRES"}}
				for _, x := range all.GetTokens() {
					t.Add(x.GetId(), x.GetDisplayName(), roleWord(x.GetRole()), output.Clock(x.GetCreateTime()), output.Dash(x.GetCreator()),
						output.Clock(x.GetExpireTime()))
				}
				return t
			})
		}),
	}
}

func tokensCreate(env *command.Env) *cobra.Command {
	var role string
	var ends time.Duration
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create an API token; its secret is shown only once", Args: command.Arguments("NAME"),
		Example: "  outbound tokens create CI --role operator --expires-in 2160h",
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			kind, err := roleOf(role)
			if err != nil {
				return err
			}
			t := &outboundv1.Token{DisplayName: args[0], Role: kind}
			if ends != 0 {
				t.ExpireTime = timestamppb.New(time.Now().Add(ends))
			}
			made := &outboundv1.CreateTokenResponse{}
			if err := c.Call(ctx, http.MethodPost, "/v1/tokens", t, made); err != nil {
				return err
			}
			return env.Show(made, func() *output.Table {
				return &output.Table{Rows: [][]string{
					{"id", made.GetToken().GetId()},
					{"role", roleWord(made.GetToken().GetRole())},
					{"expires", output.Clock(made.GetToken().GetExpireTime())},
					{"secret", made.GetSecret()},
					{"The secret is shown only once. Send it as Authorization: Bearer, or set OUTBOUND_TOKEN."},
				}}
			})
		}),
	}
	cmd.Flags().StringVar(&role, "role", "viewer", "role: viewer, operator or admin")
	cmd.Flags().DurationVar(&ends, "expires-in", 0, "time until the token expires, e.g. 2160h for 90 days (default: never)")
	return cmd
}

func tokensDelete(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Short: "Revoke an API token immediately", Args: command.Arguments("ID"), Example: "  outbound tokens delete k3m9x2p7qa",
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.Call(ctx, http.MethodDelete, "/v1/tokens/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			env.Say("deleted token %s", args[0])
			return nil
		}),
	}
}
