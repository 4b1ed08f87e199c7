package web

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// FaultSummary is a fault in the summary at the top of a form.
type FaultSummary struct {
	// ID is the element id of the field; empty if the page does not show the field.
	ID string
	// Name is the label of the field, or its path in plain words.
	Name, Text string
	// Early marks a fault that is rendered before the labels of the fields are known.
	Early bool
}

// early marks a fault that is rendered before the labels of the fields are known; execute then renders the page a second time. A text
// that contains the mark costs one more rendering.
const early = ` data-early`

// Summary returns the faults with the labels of their fields.
func (f *Form) Summary() []FaultSummary {
	out := make([]FaultSummary, 0, len(f.Faults))
	for _, x := range f.Faults {
		t := FaultSummary{Name: capital(PlainWords(x.Field)), Text: x.Text, Early: f.labels == nil}
		for path := x.Field; path != ""; path = above(path) {
			if label := f.labels[path]; label != "" {
				t.ID, t.Name = FieldID(path), label
				break
			}
		}
		out = append(out, t)
	}
	return out
}

// Label stores the label of a field and returns the fault of the field.
func (f *Form) Label(field, label string) string {
	if f == nil {
		return ""
	}
	if f.labels == nil {
		f.labels = map[string]string{}
	}
	f.labels[field] = label
	return f.FaultOf(field)
}

// above returns the parent of a path: `addresses` of `addresses[2]`, `http` of `http.url`.
func above(path string) string {
	i := strings.LastIndexAny(path, ".[")
	if i < 0 {
		return ""
	}
	return path[:i]
}

// PlainWords converts the path of a field to words: `http.retryInterval` becomes HTTP retry interval, `addresses[2]` becomes
// addresses 3.
func PlainWords(path string) string {
	path = regexp.MustCompile(`\[[^\]]*\]`).ReplaceAllStringFunc(path, func(key string) string {
		key = strings.Trim(key, `[]"`)
		if i, err := strconv.Atoi(key); err == nil {
			key = strconv.Itoa(i + 1)
		}
		return " " + key + " "
	})
	var out []string
	for _, word := range strings.Fields(strings.NewReplacer(".", " ", "_", " ").Replace(spread(path))) {
		switch lower := strings.ToLower(word); lower {
		case "url", "http", "html", "id", "pem", "ca", "tls", "smtp", "api", "json":
			out = append(out, strings.ToUpper(lower))
		default:
			out = append(out, word)
		}
	}
	return strings.Join(out, " ")
}

// spread splits a camel-case name into lower-case words.
func spread(text string) string {
	var b strings.Builder
	small := false
	for _, r := range text {
		if small && unicode.IsUpper(r) {
			b.WriteByte(' ')
			b.WriteRune(unicode.ToLower(r))
		} else {
			b.WriteRune(r)
		}
		small = unicode.IsLower(r)
	}
	return b.String()
}

// ofBody returns a path relative to the body of its request: `http.url`, not `recipient.http.url`.
func ofBody(path string) string {
	first, rest, below := strings.Cut(path, ".")
	if !below || !isBody(first) {
		return path
	}
	return rest
}

// isBody reports whether a method of the API has a field of this name as the body of its request.
func isBody(name string) bool {
	for _, file := range []protoreflect.FileDescriptor{
		outboundv1.File_outbound_v1_recipient_service_proto, outboundv1.File_outbound_v1_settings_service_proto,
		outboundv1.File_outbound_v1_access_service_proto, outboundv1.File_outbound_v1_delivery_service_proto,
	} {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				rule, _ := proto.GetExtension(methods.Get(j).Options(), annotations.E_Http).(*annotations.HttpRule)
				body := methods.Get(j).Input().Fields().ByName(protoreflect.Name(rule.GetBody()))
				if body != nil && body.JSONName() == name {
					return true
				}
			}
		}
	}
	return false
}
