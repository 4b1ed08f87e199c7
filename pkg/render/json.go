package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/outbound-events/outbound/pkg/event"
)

// JSON is the event as a structured CloudEvent in JSON, to the byte as the appliance sent it, less the custom fields that may
// not be sent. Custom holds the code names of those that may, sorted; nil sends none. The result may be e.Raw itself and must not
// be changed.
func JSON(e *event.Event, custom []string) ([]byte, error) {
	if !slices.ContainsFunc(e.Custom, func(v event.Variable) bool { return !in(custom, v.Name) }) {
		return e.Raw, nil
	}
	cut, err := cutCustom(e.Raw, custom)
	if err != nil {
		return nil, fmt.Errorf("cut the custom fields of %s: %w", e.Key(), err)
	}
	return cut, nil
}

func in(sorted []string, name string) bool {
	_, ok := slices.BinarySearch(sorted, name)
	return ok
}

// cutCustom writes raw again with other values for data.custom_fields and every other byte as it was: numbers keep their
// digits, members their order. A member that occurs twice is cut twice.
func cutCustom(raw []byte, custom []string) ([]byte, error) {
	return rewrite(raw, "data", func(data []byte) ([]byte, error) {
		return rewrite(data, "custom_fields", func(fields []byte) ([]byte, error) {
			return keepMembers(fields, custom)
		})
	})
}

// rewrite replaces the values of the object's members called name by what f makes of them. What is not an object has no members.
func rewrite(object []byte, name string, f func([]byte) ([]byte, error)) ([]byte, error) {
	out := make([]byte, 0, len(object))
	copied := 0
	err := members(object, func(key string, value []byte, end int) error {
		if key != name {
			return nil
		}
		replaced, err := f(value)
		if err != nil {
			return err
		}
		out = append(out, object[copied:end-len(value)]...)
		out = append(out, replaced...)
		copied = end
		return nil
	})
	if err != nil {
		return nil, err
	}
	return append(out, object[copied:]...), nil
}

// keepMembers is the object with only the members that custom names. What is not an object becomes an empty one.
func keepMembers(object []byte, custom []string) ([]byte, error) {
	out := []byte{'{'}
	err := members(object, func(key string, value []byte, _ int) error {
		if !in(custom, key) {
			return nil
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		quoted, err := json.Marshal(key)
		if err != nil {
			return fmt.Errorf("write the name %q: %w", key, err)
		}
		out = append(append(append(out, quoted...), ':'), value...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return append(out, '}'), nil
}

// members calls f for each member of a JSON object, with its value's bytes and where they end in object.
func members(object []byte, f func(key string, value []byte, end int) error) error {
	dec := json.NewDecoder(bytes.NewReader(object))
	open, err := dec.Token()
	if err != nil {
		return fmt.Errorf("read JSON: %w", err)
	}
	if open != json.Delim('{') {
		return nil
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return fmt.Errorf("read a member's name: %w", err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return fmt.Errorf("read member %v: %w", key, err)
		}
		name, _ := key.(string)
		if err := f(name, value, int(dec.InputOffset())); err != nil {
			return err
		}
	}
	return nil
}
