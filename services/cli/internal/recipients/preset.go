package recipients

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/outbound-events/outbound/pkg/recipient/preset"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/input"
	"github.com/outbound-events/outbound/services/cli/internal/output"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// presetFlags make a recipient from a preset.
type presetFlags struct {
	name       string
	set, files []string
}

func (p *presetFlags) define(env *command.Env, cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&p.name, "preset", "", "make the recipient from a preset; see presets list")
	f.StringArrayVar(&p.set, "set", nil, "field of the preset, as name=value; may be repeated; see presets show")
	f.StringArrayVar(&p.files, "set-file", nil, "field of the preset from a file, as name=FILE, for secrets; - reads standard input")
	var names []string
	for _, x := range preset.All() {
		names = append(names, x.Name)
	}
	env.CompleteFlags(cmd, map[string]command.Completion{"preset": command.Words(names...)})
}

// add adds what the preset makes.
func (p *presetFlags) add(files *input.Reader, t resource.Tree) error {
	if p.name == "" {
		if len(p.set)+len(p.files) > 0 {
			return exit.Usagef("--set and --set-file are fields of a preset: name it with --preset")
		}
		return nil
	}
	chosen, err := preset.Find(p.name)
	if err != nil {
		return exit.Usagef("--preset: %w", err)
	}
	values, err := p.values(files, chosen)
	if err != nil {
		return err
	}
	h, err := chosen.HTTP(values)
	if err != nil {
		return exit.Usagef("%s", presetFaults(chosen, err))
	}
	if t["displayName"] == nil {
		resource.Set(t, "displayName", chosen.Title)
	}
	for name, value := range h {
		resource.Set(t, "http."+name, value)
	}
	return nil
}

func (p *presetFlags) values(files *input.Reader, chosen preset.Preset) (map[string]string, error) {
	out := map[string]string{}
	for _, s := range p.set {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return nil, exit.Usagef("--set %q is not in the form name=value", s)
		}
		if isSecret(chosen, name) {
			return nil, exit.Usagef("--set %s: it is a secret, and other processes see arguments: use --set-file %s=FILE", name, name)
		}
		out[name] = value
	}
	for _, s := range p.files {
		name, path, ok := strings.Cut(s, "=")
		if !ok {
			return nil, exit.Usagef("--set-file %q is not in the form name=FILE", s)
		}
		value, err := files.ReadSecret(path)
		if err != nil {
			return nil, err
		}
		out[name] = value
	}
	return out, nil
}

func isSecret(p preset.Preset, name string) bool {
	return slices.ContainsFunc(p.Fields, func(f preset.Field) bool { return f.Name == name && f.Secret })
}

// presetFaults names the flags of fields that are faulty.
func presetFaults(p preset.Preset, err error) string {
	var lines []string
	var faults interface{ Unwrap() []error }
	if errors.As(err, &faults) {
		for _, x := range faults.Unwrap() {
			var f *preset.FieldError
			if errors.As(x, &f) {
				flag := "--set"
				if isSecret(p, f.Field) {
					flag = "--set-file"
				}
				lines = append(lines, flag+" "+f.Error())
			}
		}
	}
	return strings.Join(lines, "\n")
}

// PresetsCommand makes the command `presets`.
func PresetsCommand(env *command.Env) *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List presets of recipients", Args: command.Arguments(), Example: "  outbound presets list",
		RunE: func(*cobra.Command, []string) error {
			if env.Structured() {
				all := make([]any, 0, len(preset.All()))
				for _, p := range preset.All() {
					all = append(all, presetData(p))
				}
				return showData(env, map[string]any{"presets": all})
			}
			t := &output.Table{Head: []string{"PRESET", "SERVICE", "DESCRIPTION"}}
			for _, p := range preset.All() {
				t.Add(p.Name, p.Title, p.Description)
			}
			return env.Print(t)
		},
	}
	show := &cobra.Command{
		Use: "show PRESET", Short: "Show the fields of a preset and how to use it", Args: command.Arguments("PRESET"),
		Example: "  outbound presets show slack",
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := preset.Find(args[0])
			if err != nil {
				return exit.Usagef("%w", err)
			}
			if env.Structured() {
				return showData(env, presetData(p))
			}
			return showPreset(env, p)
		},
	}
	return command.Group("presets", "Show presets of recipients for well-known services", list, show)
}

// presetData is a preset for programs.
func presetData(p preset.Preset) map[string]any {
	fields := make([]any, 0, len(p.Fields))
	for _, f := range p.Fields {
		fields = append(fields, map[string]any{"name": f.Name, "description": f.Help, "secret": f.Secret, "default": f.Default,
			"required": f.Default == "" && !f.Optional})
	}
	return map[string]any{"name": p.Name, "title": p.Title, "description": p.Description, "source": p.Source, "fields": fields}
}

func showData(env *command.Env, data map[string]any) error {
	m, err := structpb.NewStruct(data)
	if err != nil {
		return fmt.Errorf("write the presets: %w", err)
	}
	return env.Show(m, nil)
}

func showPreset(env *command.Env, p preset.Preset) error {
	env.Say("%s: %s", p.Title, p.Description)
	env.Say("Format: %s", p.Source)
	env.Say("Repeats: %s", p.Deduplicates)
	env.Say("")
	t := &output.Table{Head: []string{"FIELD", "SECRET", "DEFAULT", "DESCRIPTION"}}
	example := "outbound recipients create --preset " + p.Name + " --name '" + p.Title + "' --event support_conference_end"
	for _, f := range p.Fields {
		t.Add(f.Name, output.Yes(f.Secret), output.Dash(f.Default), f.Help)
		switch {
		case f.Secret:
			example += fmt.Sprintf(" --set-file %s=%s.secret", f.Name, f.Name)
		case f.Default == "" && !f.Optional:
			example += fmt.Sprintf(" --set %s=…", f.Name)
		}
	}
	if err := env.Print(t); err != nil {
		return err
	}
	env.Say("")
	env.Say("%s", example)
	return nil
}
