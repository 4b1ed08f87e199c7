// Package contexts holds the commands of contexts: servers with their tokens, under names.
package contexts

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// Command makes the command `context`.
func Command(env *command.Env) *cobra.Command {
	c := command.Group("context", "Name servers, and choose the one that commands call",
		addCommand(env), useCommand(env), listCommand(env), removeCommand(env))
	c.Long = "A context is a server with its token under a name. Commands call the current context unless --context, --url, --data or\n" +
		"OUTBOUND_URL name a server. The contexts are in outbound/contexts.yaml in your folder of configurations (~/.config), or in the\n" +
		"file that " + client.ContextsVariable + " names, which only you can read."
	return c
}

// goodName is what a context may be called.
var goodName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func addCommand(env *command.Env) *cobra.Command {
	var store, replace bool
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Add a context; the first one becomes current", Args: command.Arguments("NAME"),
		Long: "Add names a server: --url with --token-file, or --data for one on this host. The file of the token is named in the context;\n" +
			"with --store-token, or if it is standard input (-), the token itself is stored.",
		Example: "  outbound context add production --url https://outbound.example.com --token-file ~/outbound.token\n" +
			"  outbound context add local --data ./data\n" +
			"  pass outbound/staging | outbound context add staging --url https://staging.example.com --token-file -",
		RunE: func(_ *cobra.Command, args []string) error { return add(env, args[0], store, replace) },
	}
	cmd.Flags().BoolVar(&store, "store-token", false, "store the token itself, not the name of its file")
	cmd.Flags().BoolVar(&replace, "replace", false, "replace a context of this name")
	return cmd
}

func add(env *command.Env, name string, store, replace bool) error {
	if !goodName.MatchString(name) {
		return exit.Usagef("%q is not a name for a context: use letters, digits, dots, dashes and underscores", name)
	}
	x, err := made(env.Source, name, store)
	if err != nil {
		return err
	}
	all, err := env.Source.Contexts()
	if err != nil {
		return err
	}
	exists := slices.ContainsFunc(all.Contexts, func(c client.Context) bool { return c.Name == name })
	if exists && !replace {
		return exit.Usagef("there is a context %q already: use --replace, or another name", name)
	}
	current := all.Current
	if exists {
		all.Remove(name)
	}
	all.Contexts = append(all.Contexts, x)
	if all.Current = current; len(all.Contexts) == 1 {
		all.Current = name
	}
	path, err := env.Source.SaveContexts(all)
	if err != nil {
		return err
	}
	env.Say("added context %s to %s", name, path)
	if all.Current != name {
		env.Say("to call it: outbound context use %s, or --context %s", name, name)
	}
	return nil
}

// made is a context of what the flags say. Paths become absolute: it is used in any folder.
func made(s *client.Source, name string, store bool) (client.Context, error) {
	x := client.Context{Name: name, URL: s.URL, CAFingerprint: s.CAFingerprint}
	if (s.URL == "") == (s.Data == "") {
		return x, exit.Usagef("context add needs --url URL or --data DIR")
	}
	if s.URL != "" {
		if err := client.CheckAddress(s.URL); err != nil {
			return x, err
		}
	}
	switch {
	case s.TokenFile == "-" || store:
		if s.TokenFile == "" {
			return x, exit.Usagef("--store-token needs --token-file")
		}
		token, err := s.Files.ReadSecret(s.TokenFile)
		if err != nil {
			return x, err
		}
		x.Token = strings.TrimSpace(token)
	case s.TokenFile == "" && s.Data == "":
		return x, exit.Usagef("context add needs --token-file FILE; - reads the token from standard input and stores it")
	}
	for _, p := range []struct {
		from string
		to   *string
	}{{s.Data, &x.Data}, {s.CAFile, &x.CAFile}, {s.TokenFile, &x.TokenFile}} {
		if p.from == "" || p.to == &x.TokenFile && x.Token != "" {
			continue
		}
		path, err := filepath.Abs(p.from)
		if err != nil {
			return x, fmt.Errorf("find %s: %w", p.from, err)
		}
		if _, err := os.Stat(path); err != nil {
			return x, exit.Usagef("%w", err)
		}
		*p.to = path
	}
	return x, nil
}

func useCommand(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "use NAME", Short: "Make a context the current one", Args: command.Arguments("NAME"), Example: "  outbound context use production",
		ValidArgsFunction: complete(env),
		RunE: func(_ *cobra.Command, args []string) error {
			return change(env, args[0], "current context: "+args[0], func(all *client.Contexts) { all.Current = args[0] })
		},
	}
}

func removeCommand(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Aliases: []string{"rm"}, Short: "Remove a context, and the token that it stores", Args: command.Arguments("NAME"),
		Example: "  outbound context remove staging", ValidArgsFunction: complete(env),
		RunE: func(_ *cobra.Command, args []string) error {
			return change(env, args[0], "removed context "+args[0], func(all *client.Contexts) { all.Remove(args[0]) })
		},
	}
}

// change changes a context that exists.
func change(env *command.Env, name, done string, how func(*client.Contexts)) error {
	all, err := env.Source.Contexts()
	if err != nil {
		return err
	}
	if _, err := all.Find(name); err != nil {
		return err
	}
	how(all)
	if _, err := env.Source.SaveContexts(all); err != nil {
		return err
	}
	env.Say("%s", done)
	return nil
}

func listCommand(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List contexts (without tokens)", Args: command.Arguments(), Example: "  outbound context list",
		RunE: func(*cobra.Command, []string) error {
			if err := env.CheckFormat(); err != nil {
				return err
			}
			all, err := env.Source.Contexts()
			if err != nil {
				return err
			}
			if env.Structured() {
				raw, err := json.Marshal(map[string]any{"current": all.Current, "contexts": append([]client.Context{}, all.Contexts...)})
				if err != nil {
					return fmt.Errorf("write the output: %w", err)
				}
				return env.ShowJSON(raw)
			}
			t := &output.Table{Head: []string{"CURRENT", "NAME", "SERVER", "TOKEN"}}
			for _, x := range all.Contexts {
				mark, token := "", "stored"
				if x.Name == all.Current {
					mark = "*"
				}
				if x.Token == "" {
					token = x.TokenFile
				}
				if token == "" {
					token = "of the data directory"
				}
				t.Add(mark, x.Name, x.URL+x.Data, token)
			}
			return env.Print(t)
		},
	}
}

// complete offers the names of contexts.
func complete(env *command.Env) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		all, err := env.Source.Contexts()
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var out []cobra.Completion
		for _, x := range all.Contexts {
			if strings.HasPrefix(x.Name, begun) {
				out = append(out, x.Name)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}
