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

// FaultSummary is a fault as the top of a form tells it.
type FaultSummary struct {
	// ID is the field's in the page; empty if the fault is of no field there.
	ID string
	// Name is the field's label, or its name in plain words.
	Name, Text string
	// Early says that the page's fields were not known yet.
	Early bool
}

// early marks a fault that was told before the page's fields were known. execute then renders once more. A text that holds the same
// costs a rendering and no more.
const early = ` data-early`

// FaultSummary are the faults by the labels of their fields.
func (f *Form) Told() []FaultSummary {
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

// Label notes what the page calls a field, and gives what is wrong with it.
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

// above is the path that a path lies below: `addresses` of `addresses[2]`, `http` of `http.url`.
func above(path string) string {
	i := strings.LastIndexAny(path, ".[")
	if i < 0 {
		return ""
	}
	return path[:i]
}

// PlainWords are a field's path in words, for who knows nothing of the API: `http.retryInterval` is HTTP retry interval,
// `addresses[2]` is addresses 3.
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

// spread puts a blank before each capital letter within a word, and makes it small.
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

// ofBody is a path as forms have it: within the body of its request, `http.url` and not `recipient.http.url`.
func ofBody(path string) string {
	first, rest, below := strings.Cut(path, ".")
	if !below || !isBody(first) {
		return path
	}
	return rest
}

// isBody reports whether a method of the API takes a field of this name as the whole body of its request.
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
