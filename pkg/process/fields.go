package process

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// isSection reports whether t is a struct of options, or a pointer to one, and not a single value with a text form.
func isSection(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct && !hasText(t)
}

func isList(t reflect.Type) bool { return t.Kind() == reflect.Slice && !hasText(t) }

func hasText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// allocated follows a pointer to a section, making the section if there is none.
func allocated(v reflect.Value) reflect.Value {
	if v.Kind() != reflect.Pointer {
		return v
	}
	if v.IsNil() {
		v.Set(reflect.New(v.Type().Elem()))
	}
	return v.Elem()
}

// sectionFields gives the fields of a section by their names in YAML; inlined sections count as the section's own.
func sectionFields(v reflect.Value) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, more, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if slices.Contains(strings.Split(more, ","), "inline") {
			for k, x := range sectionFields(allocated(v.Field(i))) {
				fields[k] = x
			}
			continue
		}
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		fields[name] = v.Field(i)
	}
	return fields
}

func keys(fields map[string]reflect.Value) []string {
	names := make([]string, 0, len(fields))
	for k := range fields {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}

// setText puts a value written as text into dst. Its error says what is wanted instead.
func setText(dst reflect.Value, text string) error {
	if dst.Kind() == reflect.Pointer {
		dst = allocated(dst)
	}
	if hasText(dst.Type()) {
		if err := dst.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			return fmt.Errorf("%q is not valid: %w", text, err)
		}
		return nil
	}
	wrong := fmt.Errorf("%q is not %s", text, describe(dst.Type()))
	if dst.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		if err != nil {
			return wrong
		}
		dst.SetInt(int64(d))
		return nil
	}
	switch dst.Kind() {
	case reflect.String:
		dst.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return wrong
		}
		dst.SetBool(text == "true")
	case reflect.Slice:
		return setList(dst, text)
	default:
		if !setNumber(dst, text) {
			return wrong
		}
	}
	return nil
}

func setNumber(dst reflect.Value, text string) bool {
	bits := 0
	if dst.CanInt() || dst.CanUint() || dst.CanFloat() {
		bits = dst.Type().Bits()
	}
	switch {
	case dst.CanInt():
		n, err := strconv.ParseInt(text, 0, bits)
		dst.SetInt(n)
		return err == nil
	case dst.CanUint():
		n, err := strconv.ParseUint(text, 0, bits)
		dst.SetUint(n)
		return err == nil
	case dst.CanFloat():
		n, err := strconv.ParseFloat(text, bits)
		dst.SetFloat(n)
		return err == nil
	default:
		return false
	}
}

// setList puts values separated by commas into a slice; no text means an empty one.
func setList(dst reflect.Value, text string) error {
	list := reflect.MakeSlice(dst.Type(), 0, 4)
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		x := reflect.New(dst.Type().Elem()).Elem()
		if err := setText(x, item); err != nil {
			return err
		}
		list = reflect.Append(list, x)
	}
	dst.Set(list)
	return nil
}

// describe says what a value of type t looks like.
func describe(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration such as 30s or 5m"
	case isSection(t):
		return "a section of options"
	case hasText(t), t.Kind() == reflect.String:
		return "a text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case isList(t):
		return "a list"
	case t.Kind() == reflect.Map:
		return "names with values"
	case t.Kind() == reflect.Float32, t.Kind() == reflect.Float64:
		return "a number"
	default:
		return fmt.Sprintf("a whole number (%s)", t.Kind())
	}
}
