package secret_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/outbound-events/outbound/pkg/secret"
)

func TestASealedValueOpensInItsPlaceAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seal.key")
	s, err := secret.LoadOrCreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := s.Seal([]byte("hunter2"), "recipient/crm/http.auth.basic.password")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(sealed), "hunter2") {
		t.Error("sealed value shows its content")
	}
	again, err := secret.LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := again.Open(sealed, "recipient/crm/http.auth.basic.password")
	if err != nil || string(plain) != "hunter2" {
		t.Errorf("opened %q, %v", plain, err)
	}
	if _, err := again.Open(sealed, "recipient/erp/http.auth.basic.password"); !errors.Is(err, secret.ErrSealBroken) {
		t.Errorf("opened in another place: %v", err)
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := again.Open(sealed, "recipient/crm/http.auth.basic.password"); !errors.Is(err, secret.ErrSealBroken) {
		t.Errorf("opened although changed: %v", err)
	}
	other, err := secret.LoadOrCreateKey(filepath.Join(t.TempDir(), "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := other.Open(sealed, "recipient/crm/http.auth.basic.password"); !errors.Is(err, secret.ErrSealBroken) {
		t.Errorf("opened with another key: %v", err)
	}
}

func TestKeyAndTokenAreTheirOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := secret.LoadOrCreateKey(filepath.Join(dir, "seal.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.LoadOrCreateToken(filepath.Join(dir, "admin.token")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Fatalf("folder holds %v, %v: want the two files and nothing left over", entries, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v: want 0600", e.Name(), info.Mode(), err)
		}
	}
}

func TestManyStartsMakeOneKeyAndOneToken(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	tokens := make([]string, 16)
	sealers := make([]*secret.Sealer, 16)
	for i := range tokens {
		wg.Go(func() {
			var errToken, errKey error
			tokens[i], errToken = secret.LoadOrCreateToken(filepath.Join(dir, "admin.token"))
			sealers[i], errKey = secret.LoadOrCreateKey(filepath.Join(dir, "seal.key"))
			if err := errors.Join(errToken, errKey); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	sealed, err := sealers[0].Seal([]byte("x"), "place")
	if err != nil {
		t.Fatal(err)
	}
	for i := range tokens {
		if tokens[i] != tokens[0] {
			t.Errorf("token %d differs", i)
		}
		if _, err := sealers[i].Open(sealed, "place"); err != nil {
			t.Errorf("key %d differs: %v", i, err)
		}
	}
}

func TestUnusableFilesSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := func(p string) error { _, err := secret.LoadOrCreateKey(p); return err }
	token := func(p string) error { _, err := secret.LoadOrCreateToken(p); return err }
	for name, c := range map[string]struct {
		load func(string) error
		path string
		want string
	}{
		"broken key":    {key, write("broken.key", `{"key`, 0o600), "restore the file from a backup"},
		"empty key":     {key, write("empty.key", ``, 0o600), "restore the file from a backup"},
		"open key":      {key, write("open.key", `{}`, 0o622), "chmod 600"},
		"empty token":   {token, write("empty.token", " \n", 0o600), "delete it to create a new one"},
		"several words": {token, write("two.token", "a b", 0o600), "one token on one line"},
	} {
		if err := c.load(c.path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: error is %v, want the path and %q", name, err, c.want)
		}
	}
	if _, err := secret.LoadKey(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent key: %v", err)
	}
}

func TestTokensAreRandomAndRecognisable(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		token := secret.NewToken()
		random, ok := strings.CutPrefix(token, secret.TokenPrefix)
		b, err := base64.RawURLEncoding.DecodeString(random)
		if !ok || err != nil || len(b) != 32 || seen[token] {
			t.Fatalf("token %q is not new and of 32 bytes: %v", token, err)
		}
		seen[token] = true
	}
	if !secret.Equal("a", "a") || secret.Equal("a", "b") || secret.Equal("a", "aa") {
		t.Error("Equal compares wrongly")
	}
	if !secret.EqualHash(secret.HashToken("a"), secret.HashToken("a")) || len(secret.HashToken("a")) != 32 {
		t.Error("a token's hash is not the same twice")
	}
}

func TestTextNeverPrints(t *testing.T) {
	s := secret.NewText("hunter2")
	holder := struct {
		Password secret.Text
		Pointer  *secret.Text
		hidden   secret.Text
	}{s, &s, s}
	asJSON, err := json.Marshal(map[string]any{"a": s, "b": holder})
	if err != nil {
		t.Fatal(err)
	}
	asKey, err := json.Marshal(map[secret.Text]int{s: 1})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "a", s, "b", &s, slog.Group("g", "c", s))
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "a", s, "b", &s)
	printed := []string{string(asJSON), string(asKey), log.String(), s.String(), fmt.Sprint(s, &s)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v"} {
		printed = append(printed, fmt.Sprintf(verb, s), fmt.Sprintf(verb, &s), fmt.Sprintf(verb, holder.Password),
			fmt.Sprintf("%v", []secret.Text{s}))
	}
	for _, p := range printed {
		if strings.Contains(p, "hunter2") || strings.Contains(p, "68756e74657232") {
			t.Errorf("printed the secret: %s", p)
		}
	}
	if s.Reveal() != "hunter2" || s.Empty() || !s.Equal("hunter2") || holder.hidden.Reveal() != "hunter2" {
		t.Error("the secret itself is lost")
	}
}
