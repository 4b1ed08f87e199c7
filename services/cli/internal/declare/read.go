package declare

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// readDeclarations reads a file, or the files of a folder. A file that cannot be read does not stop the others.
func (p *application) readDeclarations(path string, w *wanted) {
	files, err := declarationFiles(path)
	if err != nil {
		w.refuse(err)
	}
	for _, file := range files {
		docs, err := p.Files.Documents(file)
		if err != nil {
			w.refuse(err)
			continue
		}
		w.read(file, docs)
	}
}

// declarationFiles returns the file itself, or the YAML and JSON files directly in a folder, by name.
func declarationFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	folder := err == nil && info.IsDir()
	if path == "-" || !folder {
		// Whoever reads a file that does not exist reports it.
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, exit.Usagef("%w", err)
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(e.Name())) {
			out = append(out, filepath.Join(path, e.Name()))
		}
	}
	if len(out) == 0 {
		return nil, exit.Usagef("no .yaml, .yml or .json file in %s", path)
	}
	return out, nil
}
