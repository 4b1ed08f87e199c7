package web

import (
	"context"

	"github.com/outbound-events/outbound/pkg/delivery/reasonclass"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// choicesMost limits the recipients in a field.
const choicesMost = 1000

// RecipientChoices returns the recipients as options, by display name. It returns none while they are unavailable.
func RecipientChoices(ctx context.Context, api API) []Option {
	answer, err := api.Recipients.ListRecipients(ctx, &outboundv1.ListRecipientsRequest{PageSize: choicesMost})
	if err != nil {
		return nil
	}
	out := make([]Option, 0, len(answer.GetRecipients()))
	for _, r := range answer.GetRecipients() {
		out = append(out, Option{Value: r.GetId(), Label: r.GetDisplayName()})
	}
	return out
}

// TypeChoices returns the event types as options.
func TypeChoices(ctx context.Context, api API) []Option {
	answer, err := api.Settings.ListEventTypes(ctx, &outboundv1.ListEventTypesRequest{})
	if err != nil {
		return nil
	}
	out := make([]Option, 0, len(answer.GetEventTypes()))
	for _, t := range answer.GetEventTypes() {
		out = append(out, Option{Value: t.GetId(), Label: t.GetDisplayName()})
	}
	return out
}

// ClassChoices returns the classes of reasons as options.
func ClassChoices() []Option {
	out := make([]Option, 0, len(reasonclass.All()))
	for _, c := range reasonclass.All() {
		out = append(out, Option{Value: string(c), Label: ClassWords(string(c))})
	}
	return out
}

// Labels maps the values of options to their labels.
func Labels(choices []Option) map[string]string {
	out := make(map[string]string, len(choices))
	for _, o := range choices {
		out[o.Value] = o.Label
	}
	return out
}

// OrAny prepends an empty option. It keeps a selected value that is not among the options, because the address of the page sets it.
func OrAny(label, chosen string, choices []Option) []Option {
	out := append([]Option{{Label: label}}, choices...)
	for _, o := range out {
		if o.Value == chosen {
			return out
		}
	}
	return append(out, Option{Value: chosen, Label: chosen})
}
