package render

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

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
		return nil, fmt.Errorf("remove the custom fields of %s: %w", e.Key(), err)
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
	fromData := func(data []byte) ([]byte, error) {
		return rewrite(data, "custom_fields", func(fields []byte) ([]byte, error) {
			return keepMembers(fields, custom)
		})
	}
	cut, err := rewrite(raw, "data", fromData)
	if err != nil {
		return nil, err
	}
	return rewrite(cut, "data_base64", func(value []byte) ([]byte, error) {
		var text string
		if len(value) == 0 || value[0] != '"' { // null
			return value, nil
		}
		if err := json.Unmarshal(value, &text); err != nil {
			return nil, fmt.Errorf("decode data_base64: %w", err)
		}
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("decode data_base64: %w", err)
		}
		// That there are custom fields says that it is JSON.
		if data, err = fromData(data); err != nil {
			return nil, err
		}
		return strconv.AppendQuote(nil, base64.StdEncoding.EncodeToString(data)), nil
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
			return fmt.Errorf("encode the name %q: %w", key, err)
		}
		out = append(append(append(out, quoted...), ':'), value...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return append(out, '}'), nil
}

// errNotJSON is what is left of an event that was JSON when it was accepted.
var errNotJSON = errors.New("it is not JSON")

// members calls f for each member of a JSON object, with its value's bytes and where they end in object. What is stored was
// found to be JSON at intake, so this only finds where members begin and end: encoding/json's tokens take many times as long.
func members(object []byte, f func(key string, value []byte, end int) error) error {
	i := skipSpace(object, 0)
	if i == len(object) {
		return errNotJSON
	}
	if object[i] != '{' {
		return nil
	}
	for i++; ; i++ {
		i = skipSpace(object, i)
		if i < len(object) && object[i] == '}' {
			return nil
		}
		end := stringEnd(object, i)
		if end < 0 {
			return errNotJSON
		}
		key, err := unquote(object[i:end])
		if err != nil {
			return err
		}
		colon := skipSpace(object, end)
		if colon == len(object) || object[colon] != ':' {
			return errNotJSON
		}
		begin := skipSpace(object, colon+1)
		end = valueEnd(object, begin)
		if end < 0 {
			return errNotJSON
		}
		if err := f(key, object[begin:end], end); err != nil {
			return err
		}
		i = skipSpace(object, end)
		if i == len(object) || object[i] != ',' && object[i] != '}' {
			return errNotJSON
		}
		if object[i] == '}' {
			return nil
		}
	}
}

func unquote(quoted []byte) (string, error) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		return "", fmt.Errorf("read a member's name: %w", err)
	}
	return s, nil
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// stringEnd is the index behind the string that begins at i; -1 if none does.
func stringEnd(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// valueEnd is the index behind the value that begins at i; -1 if none does.
func valueEnd(b []byte, i int) int {
	for depth := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			end := stringEnd(b, i)
			if end < 0 || depth == 0 {
				return end
			}
			i = end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		default:
			if depth == 0 {
				return literalEnd(b, i)
			}
		}
		if depth < 0 {
			return -1
		}
	}
	return -1
}

// literalEnd is the index behind the number, true, false or null that begins at i; -1 if none does.
func literalEnd(b []byte, i int) int {
	begin := i
	for i < len(b) && bytes.IndexByte([]byte(",}] \t\n\r"), b[i]) < 0 {
		i++
	}
	if i == begin {
		return -1
	}
	return i
}
