package secret_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/secret"
)

func TestAKeyIsReadFromEachKindOfPlace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "seal.key")
	s, err := secret.LoadOrCreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SEAL_KEY", string(content))
	t.Setenv("SEAL_KEY_64", base64.StdEncoding.EncodeToString(content)+"\n")
	program := filepath.Join(dir, "print")
	if err := os.WriteFile(program, []byte("#!/bin/sh\ncat \"$1\"\n"), 0o700); err != nil { // #nosec G306 -- a program
		t.Fatal(err)
	}
	sealed, err := s.Seal([]byte("hunter2"), "place")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"file:" + path, "env:SEAL_KEY", "env:SEAL_KEY_64", "exec:" + program + " " + path} {
		p, err := secret.ParsePlace(text)
		if err != nil {
			t.Fatal(err)
		}
		k, err := p.Load()
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if plain, err := k.Open(sealed, "place"); err != nil || string(plain) != "hunter2" || k.Place().String() != text {
			t.Errorf("%s (%s) opens %q, %v", text, k.Place(), plain, err)
		}
	}
}

func TestAPlaceThatIsNoneSaysWhatToDo(t *testing.T) {
	for text, want := range map[string]string{
		"/etc/seal.key":     "use file:/etc/seal.key",
		"vault:secret/a":    `the scheme "vault" is not known: use file:PATH, env:NAME or exec:PROGRAM`,
		"awskms://arn:x":    `the scheme "awskms" is not known`,
		"file:":             "says nothing after its scheme",
		"file:///etc/s.key": "write file:/etc/s.key",
		"env:OUTBOUND_KEY":  "are options",
		"FILE:/etc/s.key":   `the scheme "FILE" is not known`,
	} {
		if _, err := secret.ParsePlace(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	dir := t.TempDir()
	fails := filepath.Join(dir, "fails")
	if err := os.WriteFile(fails, []byte("#!/bin/sh\necho permission denied >&2\nexit 3\n"), 0o700); err != nil { // #nosec G306 -- a program
		t.Fatal(err)
	}
	t.Setenv("EMPTY_KEY", " ")
	t.Setenv("WRONG_KEY", "not a key")
	for text, want := range map[string]string{
		"file:" + dir + "/absent": "no such file",
		"env:ABSENT_KEY":          "ABSENT_KEY is not set",
		"env:EMPTY_KEY":           "env:EMPTY_KEY is empty",
		"env:WRONG_KEY":           "env:WRONG_KEY: not a Tink keyset",
		"exec:" + fails + " a":    "permission denied",
		"exec:" + dir + "/absent": "no such file",
	} {
		p, err := secret.ParsePlace(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Load(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// A rotation: the new key is handed on, seals, is kept in the file, and the old one opens until it is forgotten.
func TestAKeyIsHandedOnAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seal.key")
	writer, err := secret.LoadOrCreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := secret.LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	old := writer.Active()
	before, err := writer.Seal([]byte("a"), "x")
	if err != nil || secret.KeyOf(before) != old {
		t.Fatalf("sealed with %s, active %s: %v", secret.KeyOf(before), old, err)
	}
	id, handed, err := writer.Hand()
	if err != nil || bytes.Contains(handed, []byte("AesGcmKey")) {
		t.Fatalf("handed on in the clear, or not: %v", err)
	}
	if err := writer.Activate(id); err != nil {
		t.Fatal(err)
	}
	after, err := writer.Seal([]byte("b"), "x")
	if err != nil || secret.KeyOf(after) != id {
		t.Fatalf("sealed with %s, want %s: %v", secret.KeyOf(after), id, err)
	}
	if _, err := reader.Open(after, "x"); !errors.Is(err, secret.ErrSealBroken) || !strings.Contains(err.Error(), id) {
		t.Fatalf("opened without the key, or its id is not named: %v", err)
	}
	if err := reader.Adopt(id, handed); err != nil {
		t.Fatal(err)
	}
	for _, sealed := range [][]byte{before, after} {
		if _, err := reader.Open(sealed, "x"); err != nil {
			t.Errorf("a reader during the rotation: %v", err)
		}
	}
	if err := writer.Keep(id); err != nil {
		t.Fatal(err)
	}
	late, err := secret.LoadKey(path)
	if err != nil || late.Root() != id || late.Active() != id {
		t.Fatalf("the file has %s, want %s: %v", late.Root(), id, err)
	}
	if _, err := late.Open(before, "x"); !errors.Is(err, secret.ErrSealBroken) {
		t.Errorf("the old key is still in the file: %v", err)
	}
	changed := reader.Changed()
	if err := reader.Reload(); err != nil || reader.Root() != id {
		t.Fatalf("read again: root %s, %v", reader.Root(), err)
	}
	<-changed
	if _, err := reader.Open(before, "x"); err != nil {
		t.Errorf("the old key left memory: %v", err)
	}
	reader.Forget(old)
	if reader.Holds(old) {
		t.Error("the old key is still in memory")
	}
}
