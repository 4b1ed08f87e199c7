package declare

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// kinds are the keys of a declaration, in the order of an export.
func kinds() []string {
	return []string{"eventTypes", "customFields", "smtp", "email", "appliances", "recipients"}
}

// ExportCommand makes the command `export`.
func ExportCommand(env *command.Env) *cobra.Command {
	var only []string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Export the configuration as a file for apply",
		Long: "Export writes the current configuration with every field that can be set, so that apply finds any later change.\n" +
			"Applying it at once changes nothing. Built-in event types, users and tokens are left out.\n\n" +
			"Secrets can't be read back and are left out. `passwordSet: true` and similar fields mark a stored secret, which apply keeps.\n" +
			"On a server that lacks a secret, apply reports the missing secret before it changes anything.",
		Example: "  outbound export > outbound.yaml\n  outbound export --kinds recipients,customFields -o json\n" +
			"  outbound export | outbound apply -f - --dry-run",
		Args: command.Arguments(),
	}
	cmd.Flags().StringSliceVar(&only, "kinds", nil, "kinds to export: "+strings.Join(kinds(), ", ")+" (default: all)")
	env.CompleteFlags(cmd, map[string]command.Completion{"kinds": command.Words(kinds()...)})
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		for _, k := range only {
			if !slices.Contains(kinds(), k) {
				return exit.Usagef("--kinds %q is not one of %s", k, strings.Join(kinds(), ", "))
			}
		}
		var out yaml.MapSlice
		for _, k := range kinds() {
			if len(only) > 0 && !slices.Contains(only, k) {
				continue
			}
			part, err := exportKind(ctx, c, k)
			if err != nil {
				return err
			}
			out = append(out, yaml.MapItem{Key: k, Value: part})
		}
		return writeDeclaration(env, out)
	})
	return cmd
}

// writeDeclaration prints YAML, or JSON with -o json.
func writeDeclaration(env *command.Env, d yaml.MapSlice) error {
	if env.Format == "json" {
		raw, err := json.Marshal(ordered(d))
		if err != nil {
			return fmt.Errorf("encode the configuration: %w", err)
		}
		return env.ShowJSON(raw)
	}
	raw, err := output.YAML(d, yaml.UseLiteralStyleIfMultiline(true), yaml.IndentSequence(true))
	if err != nil {
		return fmt.Errorf("encode the configuration: %w", err)
	}
	_, err = env.Out.Write(raw)
	return err
}

func exportKind(ctx context.Context, c *client.Client, kind string) (any, error) {
	switch kind {
	case "smtp":
		return exportOne(ctx, c, "/v1/settings/smtp", &outboundv1.SmtpSettings{})
	case "email":
		return exportOne(ctx, c, "/v1/settings/email", &outboundv1.EmailSettings{})
	case "recipients":
		all, err := c.AllRecipients(ctx)
		if err != nil {
			return nil, err
		}
		return declareAll(slices.DeleteFunc(all.GetRecipients(), func(r *outboundv1.Recipient) bool { return r.GetDeleteTime() != nil }))
	case "appliances":
		all := &outboundv1.ListAppliancesResponse{}
		err := c.Call(ctx, http.MethodGet, "/v1/appliances", nil, all)
		return declared(all.GetAppliances(), err)
	case "customFields":
		all := &outboundv1.ListCustomFieldsResponse{}
		err := c.Call(ctx, http.MethodGet, "/v1/custom-fields", nil, all)
		return declared(all.GetCustomFields(), err)
	case "eventTypes":
		all := &outboundv1.ListEventTypesResponse{}
		err := c.Call(ctx, http.MethodGet, "/v1/event-types", nil, all)
		return changeable(all.GetEventTypes(), err)
	default:
		return nil, fmt.Errorf("kind %q can't be exported", kind)
	}
}

// changeable declares the event types that operators have made, and of the built-in ones the aliases that they have given them.
func changeable(all []*outboundv1.EventType, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	out := []yaml.MapSlice{}
	for _, t := range all {
		switch {
		case !t.GetBuiltIn():
			d, err := declare(t.ProtoReflect())
			if err != nil {
				return nil, err
			}
			out = append(out, d)
		case len(t.GetAliases()) > 0:
			aliases := make([]any, len(t.GetAliases()))
			for i, alias := range t.GetAliases() {
				aliases[i] = writableText(alias)
			}
			out = append(out, yaml.MapSlice{{Key: "id", Value: t.GetId()}, {Key: "aliases", Value: aliases}})
		}
	}
	return out, nil
}

func exportOne(ctx context.Context, c *client.Client, path string, m proto.Message) (any, error) {
	if err := c.Call(ctx, http.MethodGet, path, nil, m); err != nil {
		return nil, err
	}
	return declare(m.ProtoReflect())
}
