package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/goccy/go-yaml"

	"github.com/outbound-events/outbound/pkg/spelling"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// ContextsVariable names the file of the contexts.
const ContextsVariable = "OUTBOUND_CONTEXTS"

// Context is a server with what is needed to call it, under a name.
type Context struct {
	Name string `json:"name" yaml:"name"`
	// URL is the server's address, Data the data folder of a local one.
	URL  string `json:"url,omitempty" yaml:"url,omitempty"`
	Data string `json:"data,omitempty" yaml:"data,omitempty"`
	// TokenFile is a file with the token, Token the token itself.
	TokenFile     string `json:"tokenFile,omitempty" yaml:"tokenFile,omitempty"`
	Token         string `json:"-" yaml:"token,omitempty"`
	CAFile        string `json:"caFile,omitempty" yaml:"caFile,omitempty"`
	CAFingerprint string `json:"caFingerprint,omitempty" yaml:"caFingerprint,omitempty"`
}

// Contexts are the contexts in a file, of which one may be current.
type Contexts struct {
	Current  string    `yaml:"current,omitempty"`
	Contexts []Context `yaml:"contexts"`
}

// Find returns a context by its name.
func (c *Contexts) Find(name string) (Context, error) {
	var known []string
	for _, x := range c.Contexts {
		if x.Name == name {
			return x, nil
		}
		known = append(known, x.Name)
	}
	hint := "see \"outbound context list\""
	if near, ok := spelling.Nearest(name, known, 3); ok {
		hint = fmt.Sprintf("did you mean %q", near)
	}
	return Context{}, exit.NotFound(fmt.Sprintf("there is no context %q: %s", name, hint))
}

// Remove removes a context.
func (c *Contexts) Remove(name string) {
	c.Contexts = slices.DeleteFunc(c.Contexts, func(x Context) bool { return x.Name == name })
	if c.Current == name {
		c.Current = ""
	}
}

// contextsFile is the file of the contexts: OUTBOUND_CONTEXTS, or outbound/contexts.yaml in the user's folder of configurations. It is
// empty if there is no such folder.
func (s *Source) contextsFile() string {
	if file := s.Files.Getenv(ContextsVariable); file != "" {
		return file
	}
	dir := s.Files.Getenv("XDG_CONFIG_HOME")
	if home := s.Files.Getenv("HOME"); dir == "" && home != "" {
		dir = filepath.Join(home, ".config")
	}
	if runtime.GOOS == "windows" {
		dir = s.Files.Getenv("AppData")
	}
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "outbound", "contexts.yaml")
}

// Contexts reads the contexts. Without a file there are none. A file that others can read is refused, for it may hold tokens.
func (s *Source) Contexts() (*Contexts, error) {
	out := &Contexts{}
	path := s.contextsFile()
	if path == "" {
		return out, nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the contexts: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, exit.Usagef("%s may hold tokens, and others can read it (mode %04o): run \"chmod 600 %s\"", path, info.Mode().Perm(), path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the contexts: %w", err)
	}
	if err := yaml.UnmarshalWithOptions(raw, out, yaml.Strict()); err != nil {
		return nil, exit.Usagef("read %s: %w", path, err)
	}
	return out, nil
}

// SaveContexts writes the contexts, in a file that only its owner can read, and returns its path.
func (s *Source) SaveContexts(c *Contexts) (path string, err error) {
	if path = s.contextsFile(); path == "" {
		return "", exit.Usagef("there is no folder for the contexts: set HOME or %s", ContextsVariable)
	}
	raw, err := yaml.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("write the contexts: %w", err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("write the contexts: %w", err)
	}
	// A temporary file has mode 0600.
	f, err := os.CreateTemp(dir, ".contexts-*")
	if err != nil {
		return "", fmt.Errorf("write the contexts: %w", err)
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("write the contexts: %w", err), os.Remove(f.Name()))
	}
	return path, nil
}

// settled is the source with the context that is in effect: the one of --context, or the current one if neither flags nor the environment
// name a server. The token of a context goes to the address of that context alone.
func (s *Source) settled() (*Source, error) {
	named := s.Context != ""
	switch {
	case named && (s.URL != "" || s.Data != ""):
		return nil, exit.Usagef("--context excludes --url and --data: it names the server")
	case !named && (s.URL != "" || s.Data != "" || s.Files.Getenv("OUTBOUND_URL") != ""):
		return s, nil
	}
	all, err := s.Contexts()
	if err != nil {
		return nil, err
	}
	name := s.Context
	if !named {
		name = all.Current
	}
	if name == "" {
		return s, nil
	}
	x, err := all.Find(name)
	if err != nil {
		return nil, err
	}
	out := *s
	out.URL, out.Data = x.URL, x.Data
	if s.TokenFile == "" {
		out.TokenFile, out.stored = x.TokenFile, x.Token
	}
	if s.CAFile == "" && s.CAFingerprint == "" {
		out.CAFile, out.CAFingerprint = x.CAFile, x.CAFingerprint
	}
	return &out, nil
}
