package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/outbound-events/outbound/pkg/rpc"
)

// tree is what a file says of a resource, or a set of flags: field names in the spelling of the REST surface, and only
// those that are named.
type tree = map[string]any

// readTrees reads the YAML or JSON documents of a file, `-` being standard input.
func (a *app) readTrees(path string) ([]tree, error) {
	raw, err := readInput(path, a.In)
	if err != nil {
		return nil, err
	}
	dir := "."
	if path != "-" {
		dir = filepath.Dir(path)
	}
	var out []tree
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	for {
		var t tree
		err := dec.Decode(&t)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, usage("read %s: %s", path, strings.TrimSpace(yaml.FormatError(err, false, false)))
		}
		if t == nil {
			continue
		}
		if err := a.expandTree(t, dir); err != nil {
			return nil, usage("read %s: %w", path, err)
		}
		out = append(out, t)
	}
	if len(out) == 0 {
		return nil, usage("%s is empty", path)
	}
	return out, nil
}

// readTree reads the one document of a file.
func (a *app) readTree(path string) (tree, error) {
	docs, err := a.readTrees(path)
	if err != nil {
		return nil, err
	}
	if len(docs) > 1 {
		return nil, usage("%s holds %d documents: expected one", path, len(docs))
	}
	return docs[0], nil
}

func (a *app) expandTree(t tree, dir string) error {
	for key, value := range t {
		v, err := a.expand(value, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		t[key] = v
	}
	return nil
}

// expand replaces values that are `${file:PATH}` or `${env:NAME}` as a whole, so that secrets and certificates need not
// stand in the document. A path is relative to the document.
func (a *app) expand(value any, dir string) (any, error) {
	switch v := value.(type) {
	case tree:
		return v, a.expandTree(v, dir)
	case []any:
		for i := range v {
			x, err := a.expand(v[i], dir)
			if err != nil {
				return nil, err
			}
			v[i] = x
		}
		return v, nil
	case string:
		return a.expandText(v, dir)
	default:
		return v, nil
	}
}

func (a *app) expandText(v, dir string) (string, error) {
	inner, opened := strings.CutPrefix(v, "${")
	inner, closed := strings.CutSuffix(inner, "}")
	if !opened || !closed {
		return v, nil
	}
	if name, ok := strings.CutPrefix(inner, "env:"); ok {
		if x := a.Getenv(name); x != "" {
			return x, nil
		}
		return "", fmt.Errorf("the environment variable %s is not set", name)
	}
	if path, ok := strings.CutPrefix(inner, "file:"); ok {
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		b, err := readInput(path, nil)
		if err != nil {
			return "", err
		}
		return strings.TrimRight(string(b), "\r\n"), nil
	}
	return v, nil
}

var protojsonPrefix = regexp.MustCompile(`^proto:[\s\x{a0}]*(syntax error )?(\(line \d+:\d+\):[\s\x{a0}]*)?`)

// fill writes a tree into a message. A name or a value that does not fit is a usage error that begins with where.
func fill(t tree, m proto.Message, where string) error {
	spellDurations(t, m.ProtoReflect().Descriptor())
	raw, err := json.Marshal(t)
	if err != nil {
		return usage("%s: %w", where, err)
	}
	if err := protojson.Unmarshal(raw, m); err != nil {
		if unknown := rpc.UnknownWords(m.ProtoReflect().Descriptor(), raw); len(unknown) > 0 {
			return usage("%s: %s: %s", where, unknown[0].Field, unknown[0].Description)
		}
		return usage("%s: %s", where, protojsonPrefix.ReplaceAllString(err.Error(), ""))
	}
	return nil
}

// spellDurations turns durations as people write them (2m, 12h) into those of the REST surface (120s). What is no duration is
// left for the message to refuse.
func spellDurations(t tree, md protoreflect.MessageDescriptor) {
	for key, value := range t {
		fd := fieldOf(md, key)
		if fd == nil || fd.Message() == nil || fd.IsList() || fd.IsMap() {
			continue
		}
		switch v := value.(type) {
		case tree:
			spellDurations(v, fd.Message())
		case string:
			if d, err := time.ParseDuration(v); err == nil && fd.Message().FullName() == "google.protobuf.Duration" {
				t[key] = seconds(d)
			}
		}
	}
}

// maskOf lists the fields a tree names, as paths of a field mask. What only the server sets, what cannot change and the etag
// are left out; how a recipient authenticates counts as one field.
func maskOf(t tree, md protoreflect.MessageDescriptor, prefix string) []string {
	var out []string
	for key, value := range t {
		fd := fieldOf(md, key)
		if fd == nil || fixed(fd) {
			continue
		}
		path := prefix + string(fd.Name())
		inner, isTree := value.(tree)
		if isTree && len(inner) > 0 && isNested(fd) && fd.Name() != "auth" {
			out = append(out, maskOf(inner, fd.Message(), path+".")...)
			continue
		}
		out = append(out, path)
	}
	slices.Sort(out)
	return out
}

func fieldOf(md protoreflect.MessageDescriptor, key string) protoreflect.FieldDescriptor {
	if fd := md.Fields().ByJSONName(key); fd != nil {
		return fd
	}
	return md.Fields().ByName(protoreflect.Name(key))
}

// isNested tells messages with fields of their own from lists, maps, durations and times.
func isNested(fd protoreflect.FieldDescriptor) bool {
	return fd.Message() != nil && !fd.IsList() && !fd.IsMap() && !strings.HasPrefix(string(fd.Message().FullName()), "google.protobuf.")
}

// fixed reports whether no update changes a field.
func fixed(fd protoreflect.FieldDescriptor) bool {
	return fd.Name() == "etag" || behaves(fd, annotations.FieldBehavior_OUTPUT_ONLY) || behaves(fd, annotations.FieldBehavior_IMMUTABLE)
}

func behaves(fd protoreflect.FieldDescriptor, as annotations.FieldBehavior) bool {
	behaviours, _ := proto.GetExtension(fd.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviours, as)
}

// secret reports whether a field is written and never read back.
func secret(fd protoreflect.FieldDescriptor) bool {
	o, ok := fd.Options().(*descriptorpb.FieldOptions)
	return ok && o.GetDebugRedact()
}
