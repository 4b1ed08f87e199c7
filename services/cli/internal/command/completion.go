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

// completion finds what a shell may offer: words, perhaps with a tab and what they mean.
type Completion func(ctx context.Context, c *client.Client) ([]string, error)

// completionPatience bounds how long a person waits behind the tabulator key.
const completionPatience = 3 * time.Second

// words offers what is known without asking.
func Words(list ...string) Completion {
	return func(context.Context, *client.Client) ([]string, error) { return list, nil }
}

// completeFlags offers values of flags.
func (env *Env) CompleteFlags(cmd *cobra.Command, of map[string]Completion) {
	for name, find := range of {
		// It fails for flags that are not there or are offered twice, which a test would find: nothing would be offered.
		_ = cmd.RegisterFlagCompletionFunc(name, env.offer(find))
	}
}

// completeTree offers what the arguments and flags of all commands are called after: RECIPIENT, --recipient and the like.
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

// argumentCompletion finds by how a command is used what its first argument is.
func (env *Env) argumentCompletion(use string) cobra.CompletionFunc {
	_, argument, _ := strings.Cut(use, " ")
	switch argument, _, _ := strings.Cut(argument, " "); argument {
	case "RECIPIENT", "[RECIPIENT]":
		return env.CompleteFirst(CompleteRecipients)
	case "APPLIANCE":
		return env.CompleteFirst(CompleteAppliances)
	case "EVENT_TYPE":
		return env.CompleteFirst(CompleteEventTypes)
	case "CODE_NAME":
		return env.CompleteFirst(completeCustomFields)
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

// completeFirst offers values of the first argument.
func (env *Env) CompleteFirst(find Completion) cobra.CompletionFunc {
	offer := env.offer(find)
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return offer(cmd, args, begun)
	}
}

// offer asks the server. What fails offers nothing: a shell has no place for errors.
func (env *Env) offer(find Completion) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		parent := cmd.Context()
		if parent == nil {
			parent = context.Background()
		}
		ctx, cancel := context.WithTimeout(parent, completionPatience)
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

// described is a word with what it means, as shells show it.
func described(word, meaning string) string {
	if meaning = output.Clean(meaning); meaning == "" || meaning == word {
		return word
	}
	return word + "\t" + meaning
}

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

// completeRecipientPrefix offers recipients where an event follows behind a stroke.
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
