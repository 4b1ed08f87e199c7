package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
)

// maxMember bounds a member, so that no file fills the memory.
const maxMember = 32 << 20

// File is a backup whose checksums are right.
type File struct {
	Manifest
	// Path is where it is, Size its bytes.
	Path string
	Size int64
	// streams are the configuration and the state of each part.
	streams map[string]stream
}

// Open reads a backup to its end and compares all checksums. Its error is ErrDamaged with what is wrong, or that of the file.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the backup: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the backup: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read the backup %s: it is not a regular file, and a backup is read twice: save it as a file", path)
	}
	c := checker{whole: sha256.New(), found: map[string]*Part{}, streams: map[string]stream{}, sums: map[string]hash.Hash{}}
	if err := walk(f, c.member); err != nil {
		return nil, fmt.Errorf("the backup %s %w", path, err)
	}
	if err := c.complete(); err != nil {
		return nil, fmt.Errorf("the backup %s %w", path, err)
	}
	return &File{Manifest: c.manifest, Path: path, Size: info.Size(), streams: c.streams}, nil
}

// walk reads the members of a file in their order.
func walk(r io.Reader, each func(name string, content []byte) error) error {
	t := tar.NewReader(r)
	for n := 0; ; n++ {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && n == 0:
			return errors.New("is not a backup of Outbound: it is not a tar file")
		case err != nil:
			return fmt.Errorf("%w: after member %d: %w", ErrDamaged, n, err)
		case h.Size > maxMember:
			return fmt.Errorf("%w: member %s has %d bytes", ErrDamaged, h.Name, h.Size)
		}
		content, err := io.ReadAll(t)
		if err != nil {
			return fmt.Errorf("%w: member %s: %w", ErrDamaged, h.Name, err)
		}
		if err := each(h.Name, content); err != nil {
			return err
		}
	}
}

// checker compares what is read with the checksums in the file.
type checker struct {
	header   Header
	manifest Manifest
	whole    hash.Hash
	// before is the checksum of all members before the last one.
	before []byte
	last   string
	sum    []byte
	found  map[string]*Part
	sums   map[string]hash.Hash
	// streams are what the parts' own members say.
	streams map[string]stream
}

func (c *checker) member(name string, content []byte) error {
	if c.last == "" && name != memberHeader {
		return fmt.Errorf("is not a backup of Outbound: it begins with %s, not with %s", name, memberHeader)
	}
	c.before, c.last = c.whole.Sum(nil), name
	add(c.whole, name, content)
	part, piece, _ := strings.Cut(name, "/")
	switch {
	case name == memberHeader:
		return c.readHeader(content)
	case name == memberManifest:
		return decode(name, content, &c.manifest)
	case name == memberSum:
		c.sum = bytes.TrimSpace(content)
		return nil
	case piece == memberStream:
		var s stream
		c.found[part], c.sums[part] = &Part{Name: part}, sha256.New()
		err := decode(name, content, &s)
		c.streams[part] = s
		return err
	case c.found[part] == nil || name != pieceName(part, c.found[part].Pieces+1):
		return fmt.Errorf("%w: %s is not where it belongs", ErrDamaged, name)
	}
	c.found[part].Pieces++
	c.found[part].FileBytes += int64(len(content))
	_, _ = c.sums[part].Write(content)
	return nil
}

func (c *checker) readHeader(content []byte) error {
	if err := decode(memberHeader, content, &c.header); err != nil {
		return err
	}
	if c.header.Format > format {
		return fmt.Errorf("was written by release %s in format %d, which this release does not read: use that release or a later one",
			c.header.Version, c.header.Format)
	}
	return nil
}

func decode(name string, content []byte, v any) error {
	if err := json.Unmarshal(content, v); err != nil {
		return fmt.Errorf("%w: member %s: %w", ErrDamaged, name, err)
	}
	return nil
}

// complete compares what was read with the manifest and the checksum at the end.
func (c *checker) complete() error {
	switch {
	case c.last == "":
		return errors.New("is not a backup of Outbound: it is empty")
	case c.last != memberSum:
		return fmt.Errorf("%w: it ends with %s, before its checksum", ErrDamaged, c.last)
	}
	for _, p := range c.manifest.Parts {
		found := c.found[p.Name]
		if found == nil {
			return fmt.Errorf("%w: part %s is missing", ErrDamaged, p.Name)
		}
		if sum := hex.EncodeToString(c.sums[p.Name].Sum(nil)); found.Pieces != p.Pieces || found.FileBytes != p.FileBytes || sum != p.SHA256 {
			return fmt.Errorf("%w: part %s has %d bytes with the SHA-256 %s, written were %d with %s", ErrDamaged, p.Name, found.FileBytes, sum,
				p.FileBytes, p.SHA256)
		}
	}
	if hex.EncodeToString(c.before) != string(c.sum) {
		return fmt.Errorf("%w: its SHA-256 is not the one at its end", ErrDamaged)
	}
	if len(c.manifest.Parts) == 0 || len(c.found) != len(c.manifest.Parts) {
		return fmt.Errorf("%w: the manifest lists %d parts, the file has %d", ErrDamaged, len(c.manifest.Parts), len(c.found))
	}
	return nil
}
