package backup

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"time"
)

// The members of the file beside those of parts.
const (
	memberHeader   = "outbound-backup.json"
	memberManifest = "manifest.json"
	memberSum      = "sha256"
	// memberStream is a part's configuration and state, below its name.
	memberStream = "stream.json"
)

// pieceName is the member with a piece of a part, counted from 1.
func pieceName(part string, n int) string { return fmt.Sprintf("%s/%06d.s2", part, n) }

// writer writes the members of a backup.
type writer struct {
	tar  *tar.Writer
	sum  hash.Hash
	time time.Time
}

func newWriter(w io.Writer, at time.Time) *writer {
	return &writer{tar: tar.NewWriter(w), sum: sha256.New(), time: at}
}

// member writes one member.
func (w *writer) member(name string, content []byte) error {
	h := &tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), ModTime: w.time.Truncate(time.Second), Typeflag: tar.TypeReg}
	if err := w.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if _, err := w.tar.Write(content); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	add(w.sum, name, content)
	return nil
}

// add adds a member to the checksum of a file.
func add(sum hash.Hash, name string, content []byte) {
	_, _ = fmt.Fprintf(sum, "%s\n%d\n", name, len(content))
	_, _ = sum.Write(content)
}

func (w *writer) json(name string, v any) error {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return w.member(name, append(content, '\n'))
}

// close writes the checksum of all members.
func (w *writer) close() error {
	if err := w.member(memberSum, []byte(hex.EncodeToString(w.sum.Sum(nil))+"\n")); err != nil {
		return err
	}
	if err := w.tar.Close(); err != nil {
		return fmt.Errorf("write the end of the file: %w", err)
	}
	return nil
}
