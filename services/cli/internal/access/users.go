// Package access holds the commands of users, API tokens and the caller.
package access

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// WhoamiCommand makes the command `whoami`.
func WhoamiCommand(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Show the signed-in identity and its role", Args: command.Arguments(),
		Example: "  outbound whoami",
		RunE: env.With(func(ctx context.Context, c *client.Client, _ []string) error {
			self := &outboundv1.Self{}
			if err := c.Call(ctx, http.MethodGet, "/v1/self", nil, self); err != nil {
				return err
			}
			return env.Show(self, func() *output.Table {
				return &output.Table{Head: []string{"NAME", "ROLE"}, Rows: [][]string{{self.GetName(), roleWord(self.GetRole())}}}
			})
		}),
	}
}

// UsersCommand makes the command `users`.
func UsersCommand(env *command.Env) *cobra.Command {
	return command.Group("users", "Manage console users", usersList(env), usersCreate(env), usersUpdate(env), usersDelete(env))
}

func userPath(name string) string { return "/v1/users/" + url.PathEscape(name) }

func roleWord(r outboundv1.Role_Kind) string { return strings.ToLower(r.String()) }

// userRoles are the roles of users, tokenRoles those of tokens.
func userRoles() []outboundv1.Role_Kind {
	return []outboundv1.Role_Kind{outboundv1.Role_VIEWER, outboundv1.Role_OPERATOR, outboundv1.Role_ADMIN}
}

func tokenRoles() []outboundv1.Role_Kind { return append(userRoles(), outboundv1.Role_RECEIVER) }

// roleOf reads one of the roles, in any case.
func roleOf(word string, roles []outboundv1.Role_Kind) (outboundv1.Role_Kind, error) {
	i := slices.IndexFunc(roles, func(r outboundv1.Role_Kind) bool { return strings.EqualFold(r.String(), word) })
	if i < 0 {
		var words []string
		for _, r := range roles {
			words = append(words, roleWord(r))
		}
		last := len(words) - 1
		return 0, exit.Usagef("%q is not a role here: use %s or %s", word, strings.Join(words[:last], ", "), words[last])
	}
	return roles[i], nil
}

func usersList(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List users", Args: command.Arguments(), Example: "  outbound users list",
		RunE: env.With(func(ctx context.Context, c *client.Client, _ []string) error {
			all := &outboundv1.ListUsersResponse{}
			if err := c.Call(ctx, http.MethodGet, "/v1/users", nil, all); err != nil {
				return err
			}
			return env.Show(all, func() *output.Table {
				t := &output.Table{Head: []string{"NAME", "DISPLAY NAME", "ROLE", "ENABLED", "PASSWORD SET", "OPENID"}}
				for _, u := range all.GetUsers() {
					t.Add(u.GetName(), output.Dash(u.GetDisplayName()), roleWord(u.GetRole()), output.Yes(!u.GetDisabled()),
						output.Clock(u.GetPasswordTime()), output.Dash(u.GetOpenidSubject()))
				}
				return t
			})
		}),
	}
}

// userFlags are the fields of a user as flags.
type userFlags struct {
	name, role, passwordFile      string
	issuer, subject               string
	disabled, noPassword, prompts bool
	unlink                        bool
}

func (f *userFlags) define(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.name, "name", "", "display name")
	cmd.Flags().StringVar(&f.role, "role", "viewer", "role: viewer, operator or admin")
	cmd.Flags().StringVar(&f.passwordFile, "password-file", "", "file with the password; - reads standard input")
	cmd.Flags().StringVar(&f.issuer, "openid-issuer", "", "issuer (iss) of the OpenID provider whose person this user is")
	cmd.Flags().StringVar(&f.subject, "openid-subject", "", "the person's subject (sub) at that provider")
	cmd.Flags().BoolVar(&f.disabled, "disabled", false, "disable sign-in for this user")
}

func usersCreate(env *command.Env) *cobra.Command {
	var f userFlags
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create a user; prompts for the password unless --password-file is given", Args: command.Arguments("NAME"),
		Example: "  outbound users create olga --role operator\n  outbound users create olga --role operator --password-file olga.password",
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			role, err := roleOf(f.role, userRoles())
			if err != nil {
				return err
			}
			u := &outboundv1.User{Name: args[0], DisplayName: f.name, Role: role, Disabled: f.disabled,
				OpenidIssuer: f.issuer, OpenidSubject: f.subject}
			if !f.noPassword {
				if u.Password, err = newPassword(env, f.passwordFile, "Password of "+args[0]); err != nil {
					return err
				}
			}
			made := &outboundv1.User{}
			if err := c.Call(ctx, http.MethodPost, "/v1/users", u, made); err != nil {
				return err
			}
			return showUser(env, made, "created")
		}),
	}
	f.define(cmd)
	cmd.Flags().BoolVar(&f.noPassword, "no-password", false, "the user signs in only with OpenID Connect")
	return cmd
}

func showUser(env *command.Env, u *outboundv1.User, what string) error {
	if env.Structured() {
		return env.ShowFields(u)
	}
	env.Say("%s user %s (%s)", what, u.GetName(), roleWord(u.GetRole()))
	return nil
}

func usersUpdate(env *command.Env) *cobra.Command {
	var f userFlags
	cmd := &cobra.Command{
		Use: "update NAME", Short: "Update a user's role, name, password or sign-in state", Args: command.Arguments("NAME"),
		Example: "  outbound users update olga --role admin\n  outbound users update olga --password\n  outbound users update olga --disabled\n" +
			"  outbound users update olga@example.com --unlink",
	}
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		u, mask := &outboundv1.User{Name: args[0], DisplayName: f.name, Disabled: f.disabled, OpenidIssuer: f.issuer,
			OpenidSubject: f.subject}, &fieldmaskpb.FieldMask{}
		set := cmd.Flags().Changed
		for flag, path := range map[string]string{"name": "displayName", "role": "role", "disabled": "disabled",
			"openid-issuer": "openidIssuer", "openid-subject": "openidSubject"} {
			if set(flag) {
				mask.Paths = append(mask.Paths, path)
			}
		}
		if f.unlink {
			if set("openid-issuer") || set("openid-subject") {
				return exit.Usagef("use either --unlink or --openid-issuer and --openid-subject")
			}
			mask.Paths = append(mask.Paths, "openidIssuer", "openidSubject")
		}
		var err error
		if u.Role, err = roleOf(f.role, userRoles()); err != nil {
			return err
		}
		if f.prompts || f.passwordFile != "" {
			mask.Paths = append(mask.Paths, "password")
			if u.Password, err = newPassword(env, f.passwordFile, "New password of "+args[0]); err != nil {
				return err
			}
		}
		if len(mask.GetPaths()) == 0 {
			return exit.Usagef("nothing to change: set --role, --name, --disabled, --password, --password-file, " +
				"--openid-issuer and --openid-subject, or --unlink")
		}
		changed := &outboundv1.User{}
		path := userPath(args[0]) + "?updateMask=" + url.QueryEscape(strings.Join(mask.GetPaths(), ","))
		if err := c.Call(ctx, http.MethodPatch, path, u, changed); err != nil {
			return err
		}
		return showUser(env, changed, "changed")
	})
	f.define(cmd)
	cmd.Flags().BoolVar(&f.unlink, "unlink", false, "unlink the user from the person of the OpenID provider")
	cmd.Flags().BoolVar(&f.prompts, "password", false, "prompt for a new password")
	return cmd
}

func usersDelete(env *command.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete NAME", Short: "Delete a user and end their sessions", Args: command.Arguments("NAME"),
		Example: "  outbound users delete olga",
	}
	command.YesFlag(cmd)
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		if err := env.Confirm(cmd, "Delete user "+args[0]+" and end their sessions?"); err != nil {
			return err
		}
		if err := c.Call(ctx, http.MethodDelete, userPath(args[0]), nil, nil); err != nil {
			return err
		}
		env.Say("deleted user %s", args[0])
		return nil
	})
	return cmd
}
