// Package resource turns named fields into messages of the API and field masks.
package resource

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// Tree holds the named fields of a resource, from a file or from flags, in the spelling of the REST API.
type Tree = map[string]any

var protojsonPrefix = regexp.MustCompile(`^proto:[\s\x{a0}]*(syntax error )?(\(line \d+:\d+\):[\s\x{a0}]*)?`)

// Fill writes a tree into a message. A name or a value that does not fit is a usage error that begins with where.
func Fill(t Tree, m proto.Message, where string) error {
	spellDurations(t, m.ProtoReflect().Descriptor())
	raw, err := json.Marshal(t)
	if err != nil {
		return exit.Usagef("%s: %w", where, err)
	}
	if err := protojson.Unmarshal(raw, m); err != nil {
		if unknown := rpc.UnknownWords(m.ProtoReflect().Descriptor(), raw); len(unknown) > 0 {
			return &FieldError{where: where, field: unknown[0].Field, text: unknown[0].Description}
		}
		return exit.Usagef("%s: %s", where, protojsonPrefix.ReplaceAllString(err.Error(), ""))
	}
	return nil
}

// FieldError says what is wrong with a field of a file or of flags. It is a usage error.
type FieldError struct{ where, field, text string }

// Error names the source, the field and what is wrong.
func (e *FieldError) Error() string {
	return strings.TrimPrefix(e.where+": ", "flags: ") + e.field + ": " + e.text
}

// ExitCode is that of wrong usage.
func (*FieldError) ExitCode() int { return exit.CodeUsage }

// NameFields names the field otherwise, e.g. by its flag.
func (e *FieldError) NameFields(name func(string) string) { e.field = name(e.field) }

// spellDurations converts durations such as 2m or 12h to those of the REST API (120s). It leaves other texts for the message to refuse.
func spellDurations(t Tree, md protoreflect.MessageDescriptor) {
	for key, value := range t {
		fd := fieldOf(md, key)
		if fd == nil || fd.Message() == nil || fd.IsList() || fd.IsMap() {
			continue
		}
		switch v := value.(type) {
		case Tree:
			spellDurations(v, fd.Message())
		case string:
			if d, err := ParseDuration(v); err == nil && fd.Message().FullName() == "google.protobuf.Duration" {
				t[key] = Seconds(d)
			}
		}
	}
}

// Mask returns the fields of a tree as sorted paths of a field mask, without the etag and the output-only and immutable fields. The
// authentication of a recipient counts as one field.
func Mask(t Tree, md protoreflect.MessageDescriptor, prefix string) []string {
	var out []string
	for key, value := range t {
		fd := fieldOf(md, key)
		if fd == nil || Fixed(fd) {
			continue
		}
		path := prefix + string(fd.Name())
		inner, isTree := value.(Tree)
		if isTree && len(inner) > 0 && Nested(fd) && fd.Name() != "auth" {
			out = append(out, Mask(inner, fd.Message(), path+".")...)
			continue
		}
		out = append(out, path)
	}
	slices.Sort(out)
	return out
}

// Set sets the value at a path and makes the trees on the way.
func Set(t Tree, path string, value any) {
	steps := strings.Split(path, ".")
	for _, step := range steps[:len(steps)-1] {
		inner, ok := t[step].(Tree)
		if !ok {
			inner = Tree{}
			t[step] = inner
		}
		t = inner
	}
	t[steps[len(steps)-1]] = value
}

// Seconds is a duration as the REST API writes it.
func Seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}

// Notes are what the user has to know about a saved recipient: warnings, and secrets that are shown once.
func Notes(r *outboundv1.Recipient) []string {
	var out []string
	for _, w := range r.GetWarnings() {
		out = append(out, "warning: "+w)
	}
	for _, s := range r.GetHttp().GetSigningSecrets() {
		if s.GetSecret() != "" {
			out = append(out, "signing secret "+s.GetId()+", shown only once: "+s.GetSecret())
		}
		if s.GetPublicKey() != "" {
			out = append(out, "signing secret "+s.GetId()+", public key for the receiver: "+s.GetPublicKey())
		}
	}
	return out
}
