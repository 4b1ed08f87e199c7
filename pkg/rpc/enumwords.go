package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// reasonUnknownWord is the fault of an enumeration's field that has none of its words.
const reasonUnknownWord = "UNKNOWN_WORD"

// UnknownWords lists the fields of a JSON document that are enumerations and have none of their words, each with the words there
// are. What else may be wrong with the document is not looked at.
func UnknownWords(m protoreflect.MessageDescriptor, document []byte) []Violation {
	dec := json.NewDecoder(bytes.NewReader(document))
	// Numbers stay as they are written.
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil
	}
	return unknownIn(m, tree, "")
}

func unknownIn(m protoreflect.MessageDescriptor, tree any, path string) []Violation {
	object, ok := tree.(map[string]any)
	if !ok || m == nil || m.ParentFile().Package() == "google.protobuf" {
		// The well-known types are written in ways of their own.
		return nil
	}
	var out []Violation
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if fd := fieldNamed(m, key); fd != nil {
			out = append(out, unknownOf(fd, object[key], strings.TrimPrefix(path+"."+fd.JSONName(), "."))...)
		}
	}
	return out
}

// unknownOf looks at a field's value, or at each of them.
func unknownOf(fd protoreflect.FieldDescriptor, value any, path string) []Violation {
	var out []Violation
	entries, isMap := value.(map[string]any)
	list, isList := value.([]any)
	switch {
	case fd.IsMap() && isMap:
		for _, key := range slices.Sorted(maps.Keys(entries)) {
			out = append(out, unknownValue(fd.MapValue(), entries[key], path+"["+strconv.Quote(key)+"]")...)
		}
		return out
	case fd.IsList() && isList:
		for i, x := range list {
			out = append(out, unknownValue(fd, x, fmt.Sprintf("%s[%d]", path, i))...)
		}
		return out
	case fd.IsMap() || fd.IsList():
		return nil
	default:
		return unknownValue(fd, value, path)
	}
}

func unknownValue(fd protoreflect.FieldDescriptor, value any, path string) []Violation {
	if fd.Enum() == nil {
		return unknownIn(fd.Message(), value, path)
	}
	word, ok := value.(string)
	if !ok || fd.Enum().Values().ByName(protoreflect.Name(word)) != nil {
		return nil
	}
	return []Violation{noWord(fd.Enum(), path, word)}
}

// noWord is the fault of a field with a word that its enumeration does not have.
func noWord(e protoreflect.EnumDescriptor, field, word string) Violation {
	var words []string
	for i := range e.Values().Len() {
		if name := string(e.Values().Get(i).Name()); !strings.HasSuffix(name, "_UNSPECIFIED") {
			words = append(words, name)
		}
	}
	return Violation{Field: field, Reason: reasonUnknownWord,
		Description: fmt.Sprintf("%q is not known: use %s", word, strings.Join(words, ", "))}
}

// unknownParameters is UnknownWords for the parameters of a query, which may also be numbers.
func unknownParameters(m protoreflect.MessageDescriptor, values url.Values) []Violation {
	var out []Violation
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fd, field := fieldAt(m, name)
		if fd == nil || fd.Enum() == nil {
			continue
		}
		known := fd.Enum().Values()
		for _, word := range values[name] {
			number, err := strconv.ParseInt(word, 10, 32)
			if known.ByName(protoreflect.Name(word)) == nil && (err != nil || known.ByNumber(protoreflect.EnumNumber(number)) == nil) {
				out = append(out, noWord(fd.Enum(), field, word))
			}
		}
	}
	return out
}

// fieldAt follows a dotted path of field names in either spelling, and spells it as JSON does. It is nil if there is none.
func fieldAt(m protoreflect.MessageDescriptor, path string) (fd protoreflect.FieldDescriptor, spelled string) {
	for name := range strings.SplitSeq(path, ".") {
		if m == nil {
			return nil, ""
		}
		if fd = fieldNamed(m, name); fd == nil {
			return nil, ""
		}
		spelled, m = strings.TrimPrefix(spelled+"."+fd.JSONName(), "."), fd.Message()
	}
	return fd, spelled
}

func fieldNamed(m protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if fd := m.Fields().ByJSONName(name); fd != nil {
		return fd
	}
	return m.Fields().ByName(protoreflect.Name(name))
}

// inText begins the text of an error that holds violations. The generated handlers make a new error of an error's text, so that
// nothing but text comes through them.
const inText = "\x00violations "

// textError carries violations through the generated handlers.
type textError []Violation

// Error is what readText reads.
func (e textError) Error() string {
	// Strings can be written as JSON.
	raw, _ := json.Marshal([]Violation(e))
	return inText + string(raw)
}

// readText makes an error of violations that came through the generated handlers as text. Other errors stay what they are.
func readText(err error) error {
	s := status.Convert(err)
	raw, ok := strings.CutPrefix(s.Message(), inText)
	if !ok || s.Code() != codes.InvalidArgument {
		return err
	}
	var violations []Violation
	if json.Unmarshal([]byte(raw), &violations) != nil {
		return err
	}
	return InvalidArgument(violations...)
}
