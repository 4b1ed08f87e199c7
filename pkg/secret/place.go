package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Place is where a key is kept: `file:PATH`, `env:NAME` or `exec:PROGRAM ARGUMENTS`. The zero value is none.
type Place struct{ scheme, rest string }

// The schemes of places.
const (
	schemeFile = "file"
	schemeEnv  = "env"
	schemeExec = "exec"
)

// ourVariables begin the variables of options, which the options loader reads.
const ourVariables = "OUTBOUND_"

// FilePlace is the place of a file.
func FilePlace(path string) Place { return Place{scheme: schemeFile, rest: path} }

// ParsePlace reads a place. A text without a scheme that is known is an error that names it; the empty text is no place.
func ParsePlace(text string) (Place, error) {
	if text == "" {
		return Place{}, nil
	}
	scheme, rest, found := strings.Cut(text, ":")
	if !found {
		return Place{}, fmt.Errorf("%q has no scheme: use file:%s for a file, env:NAME for an environment variable, or exec:PROGRAM ARGUMENTS "+
			"for a program that prints the key", text, text)
	}
	p := Place{scheme: scheme, rest: strings.TrimSpace(rest)}
	switch {
	case scheme != schemeFile && scheme != schemeEnv && scheme != schemeExec:
		return Place{}, fmt.Errorf("the scheme %q is not known: use file:PATH, env:NAME or exec:PROGRAM ARGUMENTS; "+
			"a key management system is reached by its command, e.g. exec:/usr/bin/vault kv get -field=key secret/outbound", scheme)
	case strings.HasPrefix(rest, "//"):
		return Place{}, fmt.Errorf("%q has a host: write %s:%s", text, scheme, "/"+strings.TrimLeft(rest, "/"))
	case p.rest == "":
		return Place{}, fmt.Errorf("%q says nothing after its scheme", text)
	case scheme == schemeEnv && strings.HasPrefix(p.rest, ourVariables):
		return Place{}, fmt.Errorf("%q: variables that begin with %s are options: choose another name", text, ourVariables)
	}
	return p, nil
}

// String is the place as ParsePlace reads it. It holds no secret.
func (p Place) String() string {
	if p.scheme == "" {
		return ""
	}
	return p.scheme + ":" + p.rest
}

// Given reports whether there is a place.
func (p Place) Given() bool { return p.scheme != "" }

// File is the path of a file; empty for other places.
func (p Place) File() string {
	if p.scheme == schemeFile {
		return p.rest
	}
	return ""
}

const (
	// programWait is how long a program may take to print a key.
	programWait = 30 * time.Second
	// maxKey is how long what is kept in a place may be, in bytes.
	maxKey = 64 << 10
)

// Read reads what is kept there. Its error names the place. An absent file is fs.ErrNotExist; one that others may change is refused.
func (p Place) Read() ([]byte, error) {
	content, err := p.read()
	if err == nil && len(content) > maxKey {
		err = fmt.Errorf("%s holds more than %d bytes, which is not a key", p, maxKey)
	}
	if err == nil && len(bytes.TrimSpace(content)) == 0 {
		err = fmt.Errorf("%s is empty: restore the file from a backup, or what is kept there", p)
	}
	return content, err
}

func (p Place) read() ([]byte, error) {
	switch p.scheme {
	case schemeFile:
		return readPrivate(p.rest)
	case schemeEnv:
		text, set := os.LookupEnv(p.rest)
		if !set {
			return nil, fmt.Errorf("%s: the environment variable %s is not set in this process", p, p.rest)
		}
		return []byte(text), nil
	case schemeExec:
		return runProgram(p)
	default:
		return nil, errors.New("no place of a key is given")
	}
}

// leastBrokerKey is how long a key of the broker must be, in characters.
const leastBrokerKey = 32

// BrokerKey reads the key that the files of an embedded broker are encrypted with from a place; empty if the place is empty. White space
// around it does not count.
func BrokerKey(place string) (string, error) {
	p, err := ParsePlace(place)
	if err != nil || !p.Given() {
		return "", err
	}
	content, err := p.Read()
	if err != nil {
		return "", err
	}
	key := string(bytes.TrimSpace(content))
	if len(key) < leastBrokerKey {
		return "", fmt.Errorf("%s has a key of %d characters: use at least %d random ones, e.g. openssl rand -base64 32", p, len(key),
			leastBrokerKey)
	}
	return key, nil
}

// readPrivate reads a file that only its owner may change.
func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return nil, fmt.Errorf("key file %s is writable by users other than its owner (mode %04o): run chmod 600 on it", path, mode)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	return content, nil
}

// maxComplaint is how much of what a program prints to standard error is repeated, in bytes.
const maxComplaint = 300

// runProgram runs a program without a shell and returns what it prints.
func runProgram(p Place) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), programWait)
	defer cancel()
	words := strings.Fields(p.rest)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...) // #nosec G204 -- the operator names the program, as an option
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s: it printed no key within %s", p, programWait)
	}
	if err != nil {
		text := strings.TrimSpace(complaint.String())
		if text != "" {
			text = ": " + text[:min(len(text), maxComplaint)]
		}
		return nil, fmt.Errorf("%s: %w%s", p, err, text)
	}
	return out, nil
}
