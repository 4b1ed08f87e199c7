package config_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// fieldsOf are the paths of all fields of a message, those of its messages included, as JSON spells them.
func fieldsOf(d protoreflect.MessageDescriptor, prefix string) []string {
	var out []string
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		path := prefix + fd.JSONName()
		switch {
		case prefix == "" && (path == "email" || path == "http"):
			if path == "http" {
				out = append(out, fieldsOf(fd.Message(), "http.")...)
			}
			continue
		case fd.Message() != nil && !fd.IsMap() && !strings.HasPrefix(string(fd.Message().FullName()), "google."):
			out = append(out, fieldsOf(fd.Message(), path+".")...)
		}
		out = append(out, path)
	}
	return out
}

func TestManualNamesEveryFieldOfAnHTTPRecipient(t *testing.T) {
	text, err := os.ReadFile("../../docs/recipients.md")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for line := range strings.Lines(string(text)) {
		first, ok := strings.CutPrefix(line, "| ")
		if !ok {
			continue
		}
		first, _, _ = strings.Cut(first, " |")
		for _, m := range regexp.MustCompile("`([A-Za-z0-9.]+)`").FindAllStringSubmatch(first, -1) {
			named = append(named, m[1])
		}
	}
	fields := fieldsOf((&outboundv1.Recipient{}).ProtoReflect().Descriptor(), "")
	slices.Sort(named)
	slices.Sort(fields)
	for _, f := range fields {
		if !slices.Contains(named, f) {
			t.Errorf("the manual does not name %s", f)
		}
	}
	for _, n := range named {
		if !slices.Contains(fields, n) {
			t.Errorf("the manual names %s, which is no field", n)
		}
	}
	if len(fields) < 60 {
		t.Errorf("found %d fields: that cannot be all", len(fields))
	}
}
