package cli

import (
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// readDeclarations reads a file, or the files of a folder, into what is wanted. What can't be read of one does not keep the others
// from being read.
func (p *application) readDeclarations(path string, w *wanted) {
	files, err := declarationFiles(path)
	if err != nil {
		w.refuse(err)
	}
	for _, file := range files {
		docs, err := p.readTrees(file)
		if err != nil {
			w.refuse(err)
			continue
		}
		w.read(file, docs)
	}
}

// declarationFiles is the file itself, or what a folder holds of YAML and JSON, by name and not below it.
func declarationFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	folder := err == nil && info.IsDir()
	if path == "-" || !folder {
		// A missing file is reported by its reader.
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, usage("%w", err)
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(e.Name())) {
			out = append(out, filepath.Join(path, e.Name()))
		}
	}
	if len(out) == 0 {
		return nil, usage("no .yaml, .yml or .json file in %s", path)
	}
	return out, nil
}

// missingSecrets names the secrets that were stored where a declaration was exported, that it does not hold, and that are not
// stored here: `passwordSet: true` without a password, or a signing secret with an id alone.
func missingSecrets(want, have proto.Message) []string {
	w := want.ProtoReflect()
	if have == nil {
		return missingIn(w, w.New(), "")
	}
	return missingIn(w, have.ProtoReflect(), "")
}

func missingIn(want, have protoreflect.Message, path string) []string {
	var out []string
	fields := want.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		name := path + fd.JSONName()
		switch {
		case secret(fd):
			if stored(fd, want) && want.Get(fd).String() == "" && !stored(fd, have) {
				out = append(out, name)
			}
		case !want.Has(fd):
		case fd.IsList() && fd.Message() != nil && hasSecret(fd.Message()):
			out = append(out, missingInList(want.Get(fd).List(), have.Get(fd).List(), name)...)
		case isNested(fd):
			out = append(out, missingIn(want.Get(fd).Message(), have.Get(fd).Message(), name+".")...)
		}
	}
	return out
}

func missingInList(want, have protoreflect.List, path string) []string {
	var out []string
	for i, partner := range partners(want, have) {
		w := want.Get(i).Message()
		value := w.Descriptor().Fields().ByName("secret")
		if partner == nil && value != nil && idOf(w) != "" && w.Get(value).String() == "" {
			out = append(out, path+"["+idOf(w)+"].secret")
		}
	}
	return out
}
