package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// kinds are the keys of a declaration, in the order in which they are written.
func kinds() []string {
	return []string{"eventTypes", "customFields", "smtp", "email", "appliances", "recipients"}
}

func (a *app) export() *cobra.Command {
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
		Args: arguments(),
	}
	cmd.Flags().StringSliceVar(&only, "kinds", nil, "kinds to export: "+strings.Join(kinds(), ", ")+" (default: all)")
	a.completeFlags(cmd, map[string]completion{"kinds": words(kinds()...)})
	cmd.RunE = a.with(func(ctx context.Context, c *client, _ []string) error {
		for _, k := range only {
			if !slices.Contains(kinds(), k) {
				return usage("--kinds %q is not one of %s", k, strings.Join(kinds(), ", "))
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
		return a.writeDeclaration(out)
	})
	return cmd
}

// writeDeclaration writes YAML, or JSON if requested.
func (a *app) writeDeclaration(d yaml.MapSlice) error {
	if a.output == "json" {
		raw, err := json.Marshal(ordered(d))
		if err != nil {
			return fmt.Errorf("encode the configuration: %w", err)
		}
		return a.showJSON(raw)
	}
	raw, err := yaml.MarshalWithOptions(d, yaml.UseLiteralStyleIfMultiline(true), yaml.IndentSequence(true))
	if err != nil {
		return fmt.Errorf("encode the configuration: %w", err)
	}
	_, err = a.Out.Write(raw)
	return err
}

func exportKind(ctx context.Context, c *client, kind string) (any, error) {
	switch kind {
	case "smtp":
		return exportOne(ctx, c, "/v1/settings/smtp", &outboundv1.SmtpSettings{})
	case "email":
		return exportOne(ctx, c, "/v1/settings/email", &outboundv1.EmailSettings{})
	case "recipients":
		all, err := c.allRecipients(ctx)
		if err != nil {
			return nil, err
		}
		return declareAll(slices.DeleteFunc(all.GetRecipients(), func(r *outboundv1.Recipient) bool { return r.GetDeleteTime() != nil }))
	case "appliances":
		all := &outboundv1.ListAppliancesResponse{}
		err := c.call(ctx, http.MethodGet, "/v1/appliances", nil, all)
		return declared(all.GetAppliances(), err)
	case "customFields":
		all := &outboundv1.ListCustomFieldsResponse{}
		err := c.call(ctx, http.MethodGet, "/v1/custom-fields", nil, all)
		return declared(all.GetCustomFields(), err)
	case "eventTypes":
		all := &outboundv1.ListEventTypesResponse{}
		err := c.call(ctx, http.MethodGet, "/v1/event-types", nil, all)
		return declared(slices.DeleteFunc(all.GetEventTypes(), (*outboundv1.EventType).GetBuiltIn), err)
	default:
		return nil, fmt.Errorf("kind %q can't be exported", kind)
	}
}

func exportOne(ctx context.Context, c *client, path string, m proto.Message) (any, error) {
	if err := c.call(ctx, http.MethodGet, path, nil, m); err != nil {
		return nil, err
	}
	return declare(m.ProtoReflect())
}

func declared[M proto.Message](list []M, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return declareAll(list)
}

func declareAll[M proto.Message](list []M) (any, error) {
	out := make([]yaml.MapSlice, 0, len(list))
	for _, m := range list {
		d, err := declare(m.ProtoReflect())
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// declare writes every field of a message that can be set, in the order of the contract: an absent message as null, so that apply
// takes it away where it is there.
func declare(m protoreflect.Message) (yaml.MapSlice, error) {
	var out yaml.MapSlice
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if !declarable(fd, m) {
			continue
		}
		v, err := declaredValue(fd, m)
		if err != nil {
			return nil, err
		}
		out = append(out, yaml.MapItem{Key: fd.JSONName(), Value: v})
	}
	return out, nil
}

// declarable leaves out secrets, what is only read, etags, and those of a choice that were not chosen. That a secret is stored
// is kept: it is how apply knows that one is missing.
func declarable(fd protoreflect.FieldDescriptor, m protoreflect.Message) bool {
	if of := fd.ContainingOneof(); of != nil && !m.Has(fd) {
		return false
	}
	if name, ok := strings.CutSuffix(string(fd.Name()), "_set"); ok {
		if of := m.Descriptor().Fields().ByName(protoreflect.Name(name)); of != nil && secret(of) {
			return m.Get(fd).Bool()
		}
	}
	return !secret(fd) && fd.Name() != "etag" && !behaves(fd, annotations.FieldBehavior_OUTPUT_ONLY)
}

func declaredValue(fd protoreflect.FieldDescriptor, m protoreflect.Message) (any, error) {
	switch {
	case fd.IsList() && fd.Message() != nil:
		list := make([]yaml.MapSlice, 0, m.Get(fd).List().Len())
		for i := range m.Get(fd).List().Len() {
			d, err := declare(m.Get(fd).List().Get(i).Message())
			if err != nil {
				return nil, err
			}
			list = append(list, d)
		}
		return list, nil
	case fd.IsMap() && fd.MapValue().Message() != nil:
		return declaredMap(m.Get(fd).Map())
	case isNested(fd) && m.Has(fd):
		return declare(m.Get(fd).Message())
	default:
		return plainValue(fd, m)
	}
}

func declaredMap(values protoreflect.Map) (yaml.MapSlice, error) {
	byKey := map[string]protoreflect.Message{}
	values.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		byKey[k.String()] = v.Message()
		return true
	})
	out := yaml.MapSlice{}
	for _, k := range slices.Sorted(maps.Keys(byKey)) {
		d, err := declare(byKey[k])
		if err != nil {
			return nil, err
		}
		out = append(out, yaml.MapItem{Key: k, Value: d})
	}
	return out, nil
}
