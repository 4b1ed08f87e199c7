package command

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// Completion returns the words that a shell offers, each perhaps with a tab and its meaning.
type Completion func(ctx context.Context, c *client.Client) ([]string, error)

// completionTimeout bounds how long a person waits after pressing Tab.
const completionTimeout = 3 * time.Second

// Words offers fixed words.
func Words(list ...string) Completion {
	return func(context.Context, *client.Client) ([]string, error) { return list, nil }
}

// CompleteFlags sets the completions of flags, by name.
func (env *Env) CompleteFlags(cmd *cobra.Command, of map[string]Completion) {
	for name, find := range of {
		// It fails for flags that are not there or are offered twice, which a test would find: nothing would be offered.
		_ = cmd.RegisterFlagCompletionFunc(name, env.offer(find))
	}
}

// CompleteTree completes the arguments and flags of a command and its subcommands by their names: RECIPIENT, --recipient and so on.
func (env *Env) CompleteTree(c *cobra.Command) {
	for _, inner := range c.Commands() {
		env.CompleteTree(inner)
	}
	if find := env.argumentCompletion(c.Use); find != nil && c.ValidArgsFunction == nil {
		c.ValidArgsFunction = find
	}
	for name, find := range map[string]Completion{
		"recipient": CompleteRecipients, "appliance": CompleteAppliances, "type": CompleteEventTypes,
	} {
		if _, taken := c.GetFlagCompletionFunc(name); c.Flags().Lookup(name) != nil && !taken {
			env.CompleteFlags(c, map[string]Completion{name: find})
		}
	}
}

// argumentCompletion returns the completion of the first argument that a usage line names.
func (env *Env) argumentCompletion(use string) cobra.CompletionFunc {
	_, argument, _ := strings.Cut(use, " ")
	argument, _, _ = strings.Cut(argument, " ")
	if find := completionOf(argument); find != nil {
		return env.CompleteFirst(find)
	}
	switch argument {
	case "RECIPIENT/EVENT":
		return env.CompleteFirst(CompleteRecipientPrefix)
	case "[RECIPIENT/EVENT]...", "RECIPIENT/EVENT...":
		return env.offer(CompleteRecipientPrefix)
	case "", "EXPRESSION", "EVENT", "REPLAY":
		return cobra.NoFileCompletions
	default:
		return nil
	}
}

// completionOf returns what is offered for an argument that names a resource; nil for any other.
func completionOf(argument string) Completion {
	switch argument {
	case "RECIPIENT", "[RECIPIENT]":
		return CompleteRecipients
	case "APPLIANCE":
		return CompleteAppliances
	case "EVENT_TYPE":
		return CompleteEventTypes
	case "CODE_NAME":
		return completeCustomFields
	default:
		return nil
	}
}

// CompleteFirst completes the first argument.
func (env *Env) CompleteFirst(find Completion) cobra.CompletionFunc {
	offer := env.offer(find)
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return offer(cmd, args, begun)
	}
}

// offer makes a completion that asks the server. If that fails, it offers nothing: a shell cannot show errors.
func (env *Env) offer(find Completion) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		parent := cmd.Context()
		if parent == nil {
			parent = context.Background()
		}
		ctx, cancel := context.WithTimeout(parent, completionTimeout)
		defer cancel()
		c, err := env.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer c.Close()
		all, err := find(ctx, c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var out []cobra.Completion
		directive := cobra.ShellCompDirectiveNoFileComp
		for _, x := range all {
			if !strings.HasPrefix(x, begun) {
				continue
			}
			out = append(out, x)
			if strings.HasSuffix(x, "/") {
				directive |= cobra.ShellCompDirectiveNoSpace
			}
		}
		return out, directive
	}
}

// described returns a word with its meaning, as shells show it.
func described(word, meaning string) string {
	if meaning = output.Clean(meaning); meaning == "" || meaning == word {
		return word
	}
	return word + "\t" + meaning
}

// CompleteRecipients offers the ids of recipients.
func CompleteRecipients(ctx context.Context, c *client.Client) ([]string, error) {
	all, err := c.AllRecipients(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range all.GetRecipients() {
		out = append(out, described(r.GetId(), r.GetDisplayName()))
	}
	return out, nil
}

// CompleteRecipientPrefix offers the ids of recipients with a slash, behind which an event is typed.
func CompleteRecipientPrefix(ctx context.Context, c *client.Client) ([]string, error) {
	all, err := c.AllRecipients(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range all.GetRecipients() {
		out = append(out, r.GetId()+"/")
	}
	return out, nil
}

// CompleteEventTypes offers the ids of event types.
func CompleteEventTypes(ctx context.Context, c *client.Client) ([]string, error) {
	all := &outboundv1.ListEventTypesResponse{}
	if err := c.Call(ctx, http.MethodGet, "/v1/event-types", nil, all); err != nil {
		return nil, err
	}
	var out []string
	for _, t := range all.GetEventTypes() {
		out = append(out, described(t.GetId(), t.GetDisplayName()))
	}
	return out, nil
}

// CompleteAppliances offers the ids of appliances.
func CompleteAppliances(ctx context.Context, c *client.Client) ([]string, error) {
	all := &outboundv1.ListAppliancesResponse{}
	if err := c.Call(ctx, http.MethodGet, "/v1/appliances", nil, all); err != nil {
		return nil, err
	}
	var out []string
	for _, x := range all.GetAppliances() {
		out = append(out, described(x.GetId(), x.GetDisplayName()))
	}
	return out, nil
}

func completeCustomFields(ctx context.Context, c *client.Client) ([]string, error) {
	all := &outboundv1.ListCustomFieldsResponse{}
	if err := c.Call(ctx, http.MethodGet, "/v1/custom-fields", nil, all); err != nil {
		return nil, err
	}
	var out []string
	for _, x := range all.GetCustomFields() {
		out = append(out, described(x.GetCodeName(), x.GetDisplayName()))
	}
	return out, nil
}
