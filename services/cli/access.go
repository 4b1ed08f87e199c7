package cli

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (a *app) whoami() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Show the signed-in identity and its role", Args: arguments(),
		Example: "  outbound whoami",
		RunE: a.with(func(ctx context.Context, c *client, _ []string) error {
			self := &outboundv1.Self{}
			if err := c.call(ctx, http.MethodGet, "/v1/self", nil, self); err != nil {
				return err
			}
			return a.show(self, func() *table {
				return &table{head: []string{"NAME", "ROLE"}, rows: [][]string{{self.GetName(), roleWord(self.GetRole())}}}
			})
		}),
	}
}

func (a *app) users() *cobra.Command {
	return group("users", "Manage console users", a.usersList(), a.usersCreate(), a.usersUpdate(), a.usersDelete())
}

func userPath(name string) string { return "/v1/users/" + url.PathEscape(name) }

func roleWord(r outboundv1.Role_Kind) string { return strings.ToLower(r.String()) }

// roleOf parses a role.
func roleOf(word string) (outboundv1.Role_Kind, error) {
	roles := []outboundv1.Role_Kind{outboundv1.Role_VIEWER, outboundv1.Role_OPERATOR, outboundv1.Role_ADMIN}
	i := slices.IndexFunc(roles, func(r outboundv1.Role_Kind) bool { return strings.EqualFold(r.String(), word) })
	if i < 0 {
		return 0, usage("%q is not a role: use viewer, operator or admin", word)
	}
	return roles[i], nil
}

func (a *app) usersList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List users", Args: arguments(), Example: "  outbound users list",
		RunE: a.with(func(ctx context.Context, c *client, _ []string) error {
			all := &outboundv1.ListUsersResponse{}
			if err := c.call(ctx, http.MethodGet, "/v1/users", nil, all); err != nil {
				return err
			}
			return a.show(all, func() *table {
				t := &table{head: []string{"NAME", "DISPLAY NAME", "ROLE", "ENABLED", "PASSWORD SET"}}
				for _, u := range all.GetUsers() {
					t.add(u.GetName(), dash(u.GetDisplayName()), roleWord(u.GetRole()), yes(!u.GetDisabled()), clock(u.GetPasswordTime()))
				}
				return t
			})
		}),
	}
}

// userFlags are the fields of a user to create or update.
type userFlags struct {
	name, role, passwordFile      string
	disabled, noPassword, prompts bool
}

func (f *userFlags) define(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.name, "name", "", "display name")
	cmd.Flags().StringVar(&f.role, "role", "viewer", "role: viewer, operator or admin")
	cmd.Flags().StringVar(&f.passwordFile, "password-file", "", "file with the password; - reads standard input")
	cmd.Flags().BoolVar(&f.disabled, "disabled", false, "disable sign-in for this user")
}

func (a *app) usersCreate() *cobra.Command {
	var f userFlags
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create a user; prompts for the password unless --password-file is given", Args: arguments("NAME"),
		Example: "  outbound users create olga --role operator\n  outbound users create olga --role operator --password-file olga.password",
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			role, err := roleOf(f.role)
			if err != nil {
				return err
			}
			u := &outboundv1.User{Name: args[0], DisplayName: f.name, Role: role, Disabled: f.disabled}
			if !f.noPassword {
				if u.Password, err = a.newPassword(f.passwordFile, "Password of "+args[0]); err != nil {
					return err
				}
			}
			made := &outboundv1.User{}
			if err := c.call(ctx, http.MethodPost, "/v1/users", u, made); err != nil {
				return err
			}
			return a.showUser(made, "created")
		}),
	}
	f.define(cmd)
	cmd.Flags().BoolVar(&f.noPassword, "no-password", false, "the user signs in only with OpenID Connect")
	return cmd
}

func (a *app) showUser(u *outboundv1.User, what string) error {
	if a.output != "table" {
		return a.showFields(u)
	}
	a.say("%s user %s (%s)", what, u.GetName(), roleWord(u.GetRole()))
	return nil
}

func (a *app) usersUpdate() *cobra.Command {
	var f userFlags
	cmd := &cobra.Command{
		Use: "update NAME", Short: "Update a user's role, name, password or sign-in state", Args: arguments("NAME"),
		Example: "  outbound users update olga --role admin\n  outbound users update olga --password\n  outbound users update olga --disabled",
	}
	cmd.RunE = a.with(func(ctx context.Context, c *client, args []string) error {
		u, mask := &outboundv1.User{Name: args[0], DisplayName: f.name, Disabled: f.disabled}, &fieldmaskpb.FieldMask{}
		set := cmd.Flags().Changed
		for flag, path := range map[string]string{"name": "displayName", "role": "role", "disabled": "disabled"} {
			if set(flag) {
				mask.Paths = append(mask.Paths, path)
			}
		}
		var err error
		if u.Role, err = roleOf(f.role); err != nil {
			return err
		}
		if f.prompts || f.passwordFile != "" {
			mask.Paths = append(mask.Paths, "password")
			if u.Password, err = a.newPassword(f.passwordFile, "New password of "+args[0]); err != nil {
				return err
			}
		}
		if len(mask.GetPaths()) == 0 {
			return usage("nothing to change: set --role, --name, --disabled, --password or --password-file")
		}
		changed := &outboundv1.User{}
		path := userPath(args[0]) + "?updateMask=" + url.QueryEscape(strings.Join(mask.GetPaths(), ","))
		if err := c.call(ctx, http.MethodPatch, path, u, changed); err != nil {
			return err
		}
		return a.showUser(changed, "changed")
	})
	f.define(cmd)
	cmd.Flags().BoolVar(&f.prompts, "password", false, "prompt for a new password")
	return cmd
}

func (a *app) usersDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Delete a user and end their sessions", Args: arguments("NAME"), Example: "  outbound users delete olga",
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			if err := c.call(ctx, http.MethodDelete, userPath(args[0]), nil, nil); err != nil {
				return err
			}
			a.say("deleted user %s", args[0])
			return nil
		}),
	}
}

func (a *app) tokens() *cobra.Command {
	return group("tokens", "Manage API tokens", a.tokensList(), a.tokensCreate(), a.tokensDelete())
}

func (a *app) tokensList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List API tokens (without secrets)", Args: arguments(), Example: "  outbound tokens list",
		RunE: a.with(func(ctx context.Context, c *client, _ []string) error {
			all := &outboundv1.ListTokensResponse{}
			if err := c.call(ctx, http.MethodGet, "/v1/tokens", nil, all); err != nil {
				return err
			}
			return a.show(all, func() *table {
				t := &table{head: []string{"ID", "NAME", "ROLE", "CREATED", "CREATED BY", "EXPIRES"}}
				for _, x := range all.GetTokens() {
					t.add(x.GetId(), x.GetDisplayName(), roleWord(x.GetRole()), clock(x.GetCreateTime()), dash(x.GetCreator()), clock(x.GetExpireTime()))
				}
				return t
			})
		}),
	}
}

func (a *app) tokensCreate() *cobra.Command {
	var role string
	var ends time.Duration
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create an API token; its secret is shown only once", Args: arguments("NAME"),
		Example: "  outbound tokens create CI --role operator --expires-in 2160h",
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			kind, err := roleOf(role)
			if err != nil {
				return err
			}
			t := &outboundv1.Token{DisplayName: args[0], Role: kind}
			if ends != 0 {
				t.ExpireTime = timestamppb.New(time.Now().Add(ends))
			}
			made := &outboundv1.CreateTokenResponse{}
			if err := c.call(ctx, http.MethodPost, "/v1/tokens", t, made); err != nil {
				return err
			}
			return a.show(made, func() *table {
				return &table{rows: [][]string{
					{"id", made.GetToken().GetId()},
					{"role", roleWord(made.GetToken().GetRole())},
					{"expires", clock(made.GetToken().GetExpireTime())},
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

func (a *app) tokensDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Short: "Revoke an API token immediately", Args: arguments("ID"), Example: "  outbound tokens delete k3m9x2p7qa",
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			if err := c.call(ctx, http.MethodDelete, "/v1/tokens/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			a.say("deleted token %s", args[0])
			return nil
		}),
	}
}
