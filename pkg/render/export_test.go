package render

import "github.com/outbound-events/outbound/pkg/event"

// FormVariables are the variables of a form, in the order in which they are sent.
func FormVariables(e *event.Event, custom []string) []event.Variable {
	all := []event.Variable{}
	each(e, custom, func(prefix, name, value string) {
		all = append(all, event.Variable{Name: prefix + name, Value: value})
	})
	return all
}
