package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
)

// readSecretFile reads a secret from a file, or from standard input if the file is `-`. The line's end is cut.
func readSecretFile(path string, in io.Reader) (string, error) {
	b, err := readInput(path, in)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(b), "\r\n")
	if secret == "" {
		return "", usage("%s is empty where a secret was expected", path)
	}
	return secret, nil
}

// maxInput bounds a file given to a command: the server takes no more.
const maxInput = 16 << 20

func readInput(path string, in io.Reader) ([]byte, error) {
	if path == "-" {
		b, err := io.ReadAll(io.LimitReader(in, maxInput))
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return b, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, usage("%w", err)
	}
	return b, nil
}

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
		return nil, usage("%s holds %d documents where one was expected", path, len(docs))
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
		return "", fmt.Errorf("the environment has no %s", name)
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
