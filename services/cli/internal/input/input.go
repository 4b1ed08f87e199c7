// Package input reads what a command is given: files, standard input, secrets and documents in YAML or JSON.
package input

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/outbound-events/outbound/pkg/certificate"
	"github.com/outbound-events/outbound/pkg/yamlstream"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// Reader reads what a command is given: files, standard input and variables of the environment.
type Reader struct {
	// In is standard input.
	In io.Reader
	// Getenv looks up an environment variable.
	Getenv func(string) string
}

// ReadSecret reads a secret from a file, or from standard input if the file is `-`, without its line end.
func (r *Reader) ReadSecret(path string) (string, error) {
	text, err := r.ReadText(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(text, "\r\n")
	if secret == "" {
		return "", exit.Usagef("%s is empty: it must hold a secret", path)
	}
	return secret, nil
}

// ReadText reads a file with text, or standard input if the file is `-`: binary certificates and keys as PEM, UTF-16 as UTF-8.
func (r *Reader) ReadText(path string) (string, error) {
	b, err := r.Read(path)
	if err != nil {
		return "", err
	}
	return asText(path, b)
}

// asText is the content of a file as the API can carry it.
func asText(path string, content []byte) (string, error) {
	text, err := certificate.Text(content)
	if err != nil {
		return "", exit.Usagef("%s %w", path, err)
	}
	return text, nil
}

// maxInput bounds a file given to a command: the server takes no more.
const maxInput = 16 << 20

// Read reads a file, or standard input if the file is `-`.
func (r *Reader) Read(path string) ([]byte, error) {
	if path == "-" {
		b, err := io.ReadAll(io.LimitReader(r.In, maxInput))
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return b, nil
	}
	return readFile(path)
}

// readFile reads a file, even one named `-`.
func readFile(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, exit.Usagef("%w", err)
	}
	return b, nil
}

// Documents reads the YAML or JSON documents of a file, `-` being standard input.
func (r *Reader) Documents(path string) ([]resource.Tree, error) {
	raw, err := r.Read(path)
	if err != nil {
		return nil, err
	}
	dir := "."
	if path != "-" {
		dir = filepath.Dir(path)
	}
	var out []resource.Tree
	for _, doc := range yamlstream.Split(raw) {
		if err := bounded(doc); err != nil {
			return nil, exit.Usagef("read %s: %w", path, err)
		}
		var t resource.Tree
		if err := yaml.Unmarshal(doc, &t); err != nil {
			return nil, exit.Usagef("read %s: %s", path, strings.TrimSpace(yaml.FormatError(err, false, false)))
		}
		if t == nil {
			continue
		}
		if err := r.expandTree(t, dir); err != nil {
			return nil, exit.Usagef("read %s: %w", path, err)
		}
		out = append(out, t)
	}
	if len(out) == 0 {
		return nil, exit.Usagef("%s is empty", path)
	}
	return out, nil
}

// Document reads the one document of a file.
func (r *Reader) Document(path string) (resource.Tree, error) {
	docs, err := r.Documents(path)
	if err != nil {
		return nil, err
	}
	if len(docs) > 1 {
		return nil, exit.Usagef("%s holds %d documents: expected one", path, len(docs))
	}
	return docs[0], nil
}

func (r *Reader) expandTree(t resource.Tree, dir string) error {
	for key, value := range t {
		v, err := r.expand(value, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		t[key] = v
	}
	return nil
}

// expand replaces `${file:PATH}` and `${env:NAME}` in texts, so that secrets and certificates need not stand in the document. A path is
// relative to the document.
func (r *Reader) expand(value any, dir string) (any, error) {
	switch v := value.(type) {
	case resource.Tree:
		return v, r.expandTree(v, dir)
	case []any:
		for i := range v {
			x, err := r.expand(v[i], dir)
			if err != nil {
				return nil, err
			}
			v[i] = x
		}
		return v, nil
	case string:
		return r.expandText(v, dir)
	default:
		return v, nil
	}
}

func (r *Reader) expandText(v, dir string) (string, error) {
	var b strings.Builder
	for {
		before, found, after := nextPlaceholder(v)
		b.WriteString(before)
		if found == "" {
			return b.String(), nil
		}
		if literal, escaped := strings.CutPrefix(found, "$$"); escaped {
			b.WriteString("$" + literal)
		} else {
			text, err := r.placeholder(found[len("${"):len(found)-1], dir)
			if err != nil {
				return "", err
			}
			b.WriteString(text)
		}
		v = after
	}
}

// nextPlaceholder finds the next part of a text that is replaced, or looks so: `${…}` on one line, with a second dollar sign before it if
// it stands for itself.
func nextPlaceholder(v string) (before, found, after string) {
	for from := 0; ; {
		i := strings.Index(v[from:], "${")
		if i < 0 {
			return v, "", ""
		}
		i += from
		end := strings.IndexAny(v[i+2:], "{}\n")
		if end < 0 || v[i+2+end] != '}' {
			from = i + 2
			continue
		}
		end += i + 3
		if i > 0 && v[i-1] == '$' {
			i--
		}
		return v[:i], v[i:end], v[end:]
	}
}

// placeholder is the value that a placeholder names. What looks like one and is none would be sent as it is, a secret's name in place of
// the secret, so it is refused.
func (r *Reader) placeholder(inner, dir string) (string, error) {
	if name, ok := strings.CutPrefix(inner, "env:"); ok {
		if x := r.Getenv(name); x != "" {
			return x, nil
		}
		return "", fmt.Errorf("the environment variable %s is not set", name)
	}
	if path, ok := strings.CutPrefix(inner, "file:"); ok {
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		b, err := readFile(path)
		if err != nil {
			return "", err
		}
		text, err := asText(path, b)
		return strings.TrimRight(text, "\r\n"), err
	}
	return "", fmt.Errorf("${%s} is not a placeholder: use ${env:NAME} or ${file:PATH}, or $${%s} for the text itself", inner, inner)
}

// Escape writes a text so that reading it gives the text back: what looks like a placeholder gets a second dollar sign.
func Escape(v string) string {
	var b strings.Builder
	for {
		before, found, after := nextPlaceholder(v)
		b.WriteString(before)
		if found == "" {
			return b.String()
		}
		b.WriteString("$" + found)
		v = after
	}
}
