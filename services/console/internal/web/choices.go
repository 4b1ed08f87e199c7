package web

import (
	"context"

	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// choicesMost bounds how many recipients a field offers.
const choicesMost = 1000

// RecipientChoices are the recipients for a field that selects one, by display name. While they can't be told there are none.
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

// TypeChoices are the event types for a field that selects one.
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

// ClassChoices are the classes of reasons for a field that selects one.
func ClassChoices() []Option {
	out := make([]Option, 0, len(reasons.Classes()))
	for _, c := range reasons.Classes() {
		out = append(out, Option{Value: string(c), Label: ClassWords(string(c))})
	}
	return out
}

// Labels are the labels of choices by their values.
func Labels(choices []Option) map[string]string {
	out := make(map[string]string, len(choices))
	for _, o := range choices {
		out[o.Value] = o.Label
	}
	return out
}

// OrAny puts a choice of nothing before others. A chosen value that is not offered is kept: a filter means what its address says.
func OrAny(label, chosen string, choices []Option) []Option {
	out := append([]Option{{Label: label}}, choices...)
	for _, o := range out {
		if o.Value == chosen {
			return out
		}
	}
	return append(out, Option{Value: chosen, Label: chosen})
}
