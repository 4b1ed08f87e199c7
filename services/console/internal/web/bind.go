package web

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// leaf is a field of a nested message.
type leaf struct {
	of    protoreflect.Message
	field protoreflect.FieldDescriptor
}

// find resolves a path of JSON names. With makeAll it creates missing messages; otherwise their fields are not found.
func find(m protoreflect.Message, path string, makeAll bool) (leaf, bool) {
	names := strings.Split(path, ".")
	for i, name := range names {
		f := m.Descriptor().Fields().ByJSONName(name)
		if f == nil {
			return leaf{}, false
		}
		if i == len(names)-1 {
			return leaf{m, f}, true
		}
		if f.Message() == nil || f.IsList() || f.IsMap() || !makeAll && !m.Has(f) {
			return leaf{}, false
		}
		m = m.Mutable(f).Message()
	}
	return leaf{}, false
}

// Show sets the form to the values of a message at paths of JSON names, e.g. `http.retryInterval`: durations in words, times in RFC
// 3339, lists of strings as lines. An unknown path is a programming error.
func (f *Form) Show(m proto.Message, paths ...string) error {
	if f.Values == nil {
		f.Values = map[string][]string{}
	}
	for _, path := range paths {
		if l, ok := find(m.ProtoReflect(), path, false); ok {
			values, err := shown(l)
			if err != nil {
				return fmt.Errorf("show %s: %w", path, err)
			}
			f.Values[path] = values
			continue
		}
		if _, ok := find(m.ProtoReflect().New(), path, true); !ok {
			return fmt.Errorf("show %s: %s has no such field", path, m.ProtoReflect().Descriptor().FullName())
		}
		f.Values[path] = nil
	}
	return nil
}

func shown(l leaf) ([]string, error) {
	switch {
	case l.field.IsMap():
		return nil, fmt.Errorf("%s is a map: show it by hand", l.field.FullName())
	case l.field.IsList() && l.field.Kind() == protoreflect.StringKind:
		list, out := l.of.Get(l.field).List(), []string{}
		for i := range list.Len() {
			out = append(out, list.Get(i).String())
		}
		return out, nil
	case isPairs(l.field):
		return shownPairs(l), nil
	case l.field.IsList():
		return nil, fmt.Errorf("%s is a list of messages: show it by hand", l.field.FullName())
	case !l.of.Has(l.field):
		return nil, nil
	}
	v := l.of.Get(l.field)
	switch l.field.Kind() {
	case protoreflect.EnumKind:
		if d := l.field.Enum().Values().ByNumber(v.Enum()); d != nil && d.Number() != 0 {
			return []string{string(d.Name())}, nil
		}
		return nil, nil
	case protoreflect.MessageKind:
		switch x := v.Message().Interface().(type) {
		case *durationpb.Duration:
			return []string{Words(x.AsDuration())}, nil
		case *timestamppb.Timestamp:
			return []string{x.AsTime().UTC().Format(time.RFC3339)}, nil
		}
		return nil, fmt.Errorf("%s is a message: show its fields", l.field.FullName())
	default:
		return []string{v.String()}, nil
	}
}

// Read sets the fields of a message at the paths to the values of the form. It adds invalid values as faults. Lists of strings are
// several values (checkboxes) or lines. An empty value does not create a missing message.
func (f *Form) Read(m proto.Message, paths ...string) error {
	for _, path := range paths {
		if _, ok := find(m.ProtoReflect(), path, false); !ok && f.Get(path) == "" {
			if _, ok := find(m.ProtoReflect().New(), path, true); !ok {
				return fmt.Errorf("read %s: %s has no such field", path, m.ProtoReflect().Descriptor().FullName())
			}
			continue
		}
		l, ok := find(m.ProtoReflect(), path, true)
		if !ok {
			return fmt.Errorf("read %s: %s has no such field", path, m.ProtoReflect().Descriptor().FullName())
		}
		if l.field.IsMap() || l.field.IsList() && l.field.Kind() != protoreflect.StringKind && !isPairs(l.field) {
			return fmt.Errorf("read %s: it is a map or a list of messages: read it by hand", path)
		}
		f.read(l, path)
	}
	return nil
}

func (f *Form) read(l leaf, path string) {
	typed := f.Get(path)
	switch {
	case isPairs(l.field):
		f.readPairs(l, path)
	case l.field.IsList():
		f.readList(l, path)
	case l.field.Kind() == protoreflect.BoolKind:
		l.of.Set(l.field, protoreflect.ValueOfBool(f.On(path)))
	case typed == "":
		l.of.Clear(l.field)
	default:
		v, fault := parsed(l.field, typed, f.Raw(path))
		if fault != "" {
			f.Add(path, fault)
			return
		}
		l.of.Set(l.field, v)
	}
}

func (f *Form) readList(l leaf, path string) {
	values := f.All(path)
	if len(values) == 1 {
		values = f.Lines(path)
	}
	l.of.Clear(l.field)
	list := l.of.Mutable(l.field).List()
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" {
			list.Append(protoreflect.ValueOfString(v))
		}
	}
}

// parsed parses a value. raw includes surrounding whitespace, which multi-line texts keep.
func parsed(f protoreflect.FieldDescriptor, typed, raw string) (v protoreflect.Value, fault string) {
	switch f.Kind() {
	case protoreflect.StringKind:
		if strings.Contains(typed, "\n") {
			return protoreflect.ValueOfString(strings.ReplaceAll(raw, "\r\n", "\n")), ""
		}
		return protoreflect.ValueOfString(typed), ""
	case protoreflect.Int32Kind:
		n, err := strconv.ParseInt(typed, 10, 32)
		if err != nil {
			return v, "is not a whole number: use digits only"
		}
		return protoreflect.ValueOfInt32(int32(n)), ""
	case protoreflect.DoubleKind:
		n, err := strconv.ParseFloat(typed, 64)
		if err != nil {
			return v, "is not a number: use e.g. 2 or 1.5"
		}
		return protoreflect.ValueOfFloat64(n), ""
	case protoreflect.EnumKind:
		d := f.Enum().Values().ByName(protoreflect.Name(typed))
		if d == nil {
			return v, "is not one of the options"
		}
		return protoreflect.ValueOfEnum(d.Number()), ""
	case protoreflect.MessageKind:
		return parsedMessage(f, typed)
	default:
		return v, "cannot be read from a form"
	}
}

func parsedMessage(f protoreflect.FieldDescriptor, typed string) (v protoreflect.Value, fault string) {
	switch f.Message().FullName() {
	case "google.protobuf.Duration":
		d, ok := ParseWords(typed)
		if !ok {
			return v, "is not a duration: use e.g. 30 s, 5 min, 24 h or 1 h 30 min"
		}
		return protoreflect.ValueOfMessage(durationpb.New(d).ProtoReflect()), ""
	case "google.protobuf.Timestamp":
		t, ok := ParseInstant(typed)
		if !ok {
			return v, "is not a time: use e.g. 2026-11-21T10:00:00Z or 2026-11-21 10:00 (UTC)"
		}
		return protoreflect.ValueOfMessage(timestamppb.New(t).ProtoReflect()), ""
	default:
		return v, "cannot be read from a form"
	}
}

// units are the units of durations.
var units = map[string]time.Duration{ //nolint:gochecknoglobals // a constant table
	"ms": time.Millisecond, "s": time.Second, "sec": time.Second, "second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hour": time.Hour, "hours": time.Hour, "d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
}

// ParseWords parses a duration such as `30 s`, `5 min`, `24h`, `1 h 30 min` or `1.5 h`.
func ParseWords(text string) (time.Duration, bool) {
	var total time.Duration
	for rest := strings.TrimSpace(strings.ToLower(text)); ; {
		i := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if i <= 0 {
			return 0, false
		}
		n, err := strconv.ParseFloat(rest[:i], 64)
		if err != nil || n > 1e9 {
			return 0, false
		}
		rest = strings.TrimLeft(rest[i:], " \u00a0\u202f")
		j := strings.IndexFunc(rest, func(r rune) bool { return r < 'a' || r > 'z' })
		if j < 0 {
			j = len(rest)
		}
		unit, ok := units[rest[:j]]
		if !ok || n*float64(unit) > float64(1<<62) {
			return 0, false
		}
		total += time.Duration(n * float64(unit))
		if rest = strings.TrimLeft(rest[j:], " ,\u00a0\u202f"); rest == "" {
			return total, true
		}
	}
}

// ParseInstant parses a time in RFC 3339, or the value of a datetime field in UTC.
func ParseInstant(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05",
		"2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
