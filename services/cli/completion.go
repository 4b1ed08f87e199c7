package cli

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// completion finds what a shell may offer: words, perhaps with a tab and what they mean.
type completion func(ctx context.Context, c *client) ([]string, error)

// completionPatience bounds how long a person waits behind the tabulator key.
const completionPatience = 3 * time.Second

// words completes values that are known without a request.
func words(list ...string) completion {
	return func(context.Context, *client) ([]string, error) { return list, nil }
}

// completeFlags offers values of flags.
func (a *app) completeFlags(cmd *cobra.Command, of map[string]completion) {
	for name, find := range of {
		// It fails for flags that are not there or are offered twice, which a test would find: nothing would be offered.
		_ = cmd.RegisterFlagCompletionFunc(name, a.offer(find))
	}
}

// completeTree offers what the arguments and flags of all commands are called after: RECIPIENT, --recipient and the like.
func (a *app) completeTree(c *cobra.Command) {
	for _, inner := range c.Commands() {
		a.completeTree(inner)
	}
	if find := a.argumentCompletion(c.Use); find != nil && c.ValidArgsFunction == nil {
		c.ValidArgsFunction = find
	}
	for name, find := range map[string]completion{
		"recipient": completeRecipients, "appliance": completeAppliances, "type": completeEventTypes,
	} {
		if _, taken := c.GetFlagCompletionFunc(name); c.Flags().Lookup(name) != nil && !taken {
			a.completeFlags(c, map[string]completion{name: find})
		}
	}
}

// argumentCompletion finds by how a command is used what its first argument is.
func (a *app) argumentCompletion(use string) cobra.CompletionFunc {
	_, argument, _ := strings.Cut(use, " ")
	switch argument, _, _ := strings.Cut(argument, " "); argument {
	case "RECIPIENT", "[RECIPIENT]":
		return a.completeFirst(completeRecipients)
	case "APPLIANCE":
		return a.completeFirst(completeAppliances)
	case "EVENT_TYPE":
		return a.completeFirst(completeEventTypes)
	case "CODE_NAME":
		return a.completeFirst(completeCustomFields)
	case "RECIPIENT/EVENT":
		return a.completeFirst(completeRecipientPrefix)
	case "[RECIPIENT/EVENT]...", "RECIPIENT/EVENT...":
		return a.offer(completeRecipientPrefix)
	case "", "EXPRESSION", "EVENT", "REPLAY":
		return cobra.NoFileCompletions
	default:
		return nil
	}
}

// completeFirst offers values of the first argument.
func (a *app) completeFirst(find completion) cobra.CompletionFunc {
	offer := a.offer(find)
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return offer(cmd, args, begun)
	}
}

// offer asks the server. What fails offers nothing: a shell has no place for errors.
func (a *app) offer(find completion) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		parent := cmd.Context()
		if parent == nil {
			parent = context.Background()
		}
		ctx, cancel := context.WithTimeout(parent, completionPatience)
		defer cancel()
		c, err := a.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer c.close()
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
	if meaning = clean(meaning); meaning == "" || meaning == word {
		return word
	}
	return word + "\t" + meaning
}

func completeRecipients(ctx context.Context, c *client) ([]string, error) {
	all, err := c.allRecipients(ctx)
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
func completeRecipientPrefix(ctx context.Context, c *client) ([]string, error) {
	all, err := c.allRecipients(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range all.GetRecipients() {
		out = append(out, r.GetId()+"/")
	}
	return out, nil
}

func completeEventTypes(ctx context.Context, c *client) ([]string, error) {
	all := &outboundv1.ListEventTypesResponse{}
	if err := c.call(ctx, http.MethodGet, "/v1/event-types", nil, all); err != nil {
		return nil, err
	}
	var out []string
	for _, t := range all.GetEventTypes() {
		out = append(out, described(t.GetId(), t.GetDisplayName()))
	}
	return out, nil
}

func completeAppliances(ctx context.Context, c *client) ([]string, error) {
	all := &outboundv1.ListAppliancesResponse{}
	if err := c.call(ctx, http.MethodGet, "/v1/appliances", nil, all); err != nil {
		return nil, err
	}
	var out []string
	for _, x := range all.GetAppliances() {
		out = append(out, described(x.GetId(), x.GetDisplayName()))
	}
	return out, nil
}

func completeCustomFields(ctx context.Context, c *client) ([]string, error) {
	all := &outboundv1.ListCustomFieldsResponse{}
	if err := c.call(ctx, http.MethodGet, "/v1/custom-fields", nil, all); err != nil {
		return nil, err
	}
	var out []string
	for _, x := range all.GetCustomFields() {
		out = append(out, described(x.GetCodeName(), x.GetDisplayName()))
	}
	return out, nil
}
