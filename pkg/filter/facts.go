package filter

import (
	"cmp"
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/outbound-events/outbound/pkg/event"
)

// typeEvent is the type of the variable event.
const typeEvent = "outbound.Event"

// activation is what one evaluation sees. The maps are made when they are first asked for.
type activation struct {
	event        *event.Event
	vars, custom map[string]string
}

// ResolveName implements cel.Activation.
func (f *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "event":
		return f.event, true
	case "vars":
		if f.vars == nil {
			f.vars = texts(f.event.Variables)
		}
		return f.vars, true
	case "custom":
		if f.custom == nil {
			f.custom = texts(f.event.Custom)
		}
		return f.custom, true
	default:
		return nil, false
	}
}

// Parent implements cel.Activation.
func (f *activation) Parent() cel.Activation { return nil }

func texts(list []event.Variable) map[string]string {
	m := make(map[string]string, len(list))
	for _, v := range list {
		m[v.Name] = v.Value
	}
	return m
}

// provider knows the type of event beside CEL's own types, so that a field that does not exist is found when an expression
// is compiled.
type provider struct {
	types.Provider
}

// field is one field of event: its type and how it is had.
func field(name string) (*types.FieldType, bool) {
	text := func(get func(*event.Event) string) (*types.FieldType, bool) {
		return &types.FieldType{
			Type:    types.StringType,
			IsSet:   func(target any) bool { e, ok := target.(*event.Event); return ok && get(e) != "" },
			GetFrom: from(func(e *event.Event) any { return get(e) }),
		}, true
	}
	switch name {
	case "id":
		return text(func(e *event.Event) string { return cmp.Or(e.SentID, e.ID) })
	case "type":
		return text(func(e *event.Event) string { return e.Type })
	case "appliance":
		return text(func(e *event.Event) string { return e.Appliance })
	case "session":
		return text(func(e *event.Event) string { return e.Session })
	case "external_key":
		return text(func(e *event.Event) string { return e.ExternalKey })
	case "time":
		return &types.FieldType{
			Type:    types.TimestampType,
			IsSet:   func(target any) bool { e, ok := target.(*event.Event); return ok && !e.Time.IsZero() },
			GetFrom: from(func(e *event.Event) any { return e.Time }),
		}, true
	default:
		return nil, false
	}
}

func from(get func(*event.Event) any) ref.FieldGetter {
	return func(target any) (any, error) {
		e, ok := target.(*event.Event)
		if !ok {
			return nil, fmt.Errorf("%T is not an event", target)
		}
		return get(e), nil
	}
}

// FindStructType implements types.Provider.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if name == typeEvent {
		return types.NewTypeTypeWithParam(types.NewObjectType(typeEvent)), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	if name == typeEvent {
		return []string{"id", "type", "appliance", "session", "external_key", "time"}, true
	}
	return p.Provider.FindStructFieldNames(name)
}

// FindStructFieldType implements types.Provider.
func (p *provider) FindStructFieldType(name, member string) (*types.FieldType, bool) {
	if name == typeEvent {
		return field(member)
	}
	return p.Provider.FindStructFieldType(name, member)
}

// NewValue implements types.Provider. Expressions can't make events.
func (p *provider) NewValue(name string, fields map[string]ref.Val) ref.Val {
	if name == typeEvent {
		return types.NewErr("an expression can't create an event")
	}
	return p.Provider.NewValue(name, fields)
}
