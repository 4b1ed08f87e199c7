package backups

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/outbound-events/outbound/pkg/bus/backup"
	"github.com/outbound-events/outbound/pkg/secret"
)

// placeOf is a place of a key as people give it: with a scheme, or the path of a file.
func placeOf(text string) secret.Place {
	if p, err := secret.ParsePlace(text); err == nil {
		return p
	}
	return secret.FilePlace(text)
}

// checkKey is why the secrets in a backup can't be opened with the key in a place; nil: they can, or there are none.
func checkKey(f *backup.File, text string) error {
	if len(f.Sealed) == 0 {
		return nil
	}
	of := strings.Join(f.Sealed, ", ")
	if text == "" {
		return fmt.Errorf("no seal key is given, and the backup has secrets of %s", of)
	}
	sealer, err := placeOf(text).Load()
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no seal key in %s, and the backup has secrets of %s", text, of)
	}
	if err != nil {
		return err
	}
	if _, err := sealer.Open(f.SealCheck, backup.SealPlace); err != nil {
		return fmt.Errorf("the seal key in %s is not the one of the backup, which has secrets of %s", text, of)
	}
	return nil
}

// keptKey is what another key in the data directory is renamed to.
const keptKey = ".before-restore"

// installKey copies a seal key into a data directory. Another key that is there is kept under another name.
func installKey(from, to string) error {
	key, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("read the seal key: %w", err)
	}
	old, err := os.ReadFile(to)
	switch {
	case err == nil && bytes.Equal(old, key):
		return nil
	case err == nil:
		err = os.Rename(to, to+keptKey)
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err != nil {
		return fmt.Errorf("keep the seal key in %s: %w", to, err)
	}
	temp := to + ".new"
	if err := os.WriteFile(temp, key, 0o600); err != nil {
		return fmt.Errorf("copy the seal key: %w", err)
	}
	if err := os.Rename(temp, to); err != nil {
		return fmt.Errorf("copy the seal key: %w", err)
	}
	return nil
}
