package tlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Checkpoint says what the tree was at a time. Its text is a checkpoint of C2SP tlog-checkpoint with four extension lines.
type Checkpoint struct {
	// Origin names the log, and the key.
	Origin string
	Size   uint64
	Root   []byte
	// Number counts the checkpoints of a tree from 1. Previous is the hash of the one before; empty in the first. See HashOf.
	Number   uint64
	Previous string
	Time     time.Time
	// First and Last are the sequences of the first record since the checkpoint before, and of the last. First is above Last if there
	// was none.
	First, Last uint64
}

// The extension lines.
const (
	lineNumber    = "number "
	lineTime      = "time "
	lineSequences = "sequences "
	linePrevious  = "previous "
)

// text is what is signed.
func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root)) +
		fmt.Sprintf("%s%d\n%s%s\n%s%d-%d\n%s%s\n", lineNumber, c.Number, lineTime, c.Time.UTC().Format(time.RFC3339Nano),
			lineSequences, c.First, c.Last, linePrevious, orDash(c.Previous))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// HashOf is the SHA-256 of a signed checkpoint, in hexadecimal.
func HashOf(signed []byte) string {
	sum := sha256.Sum256(signed)
	return hex.EncodeToString(sum[:])
}

// Sign signs a checkpoint.
func (k *Keys) Sign(c Checkpoint) ([]byte, error) {
	if k.signer == nil {
		return nil, errors.New("sign a checkpoint: there is no key that signs")
	}
	c.Origin = k.signer.Name()
	signed, err := note.Sign(&note.Note{Text: c.text()}, k.signer)
	if err != nil {
		return nil, fmt.Errorf("sign a checkpoint: %w", err)
	}
	return signed, nil
}

// ErrSignature says that a checkpoint is not signed with a key that is known.
var ErrSignature = errors.New("it is not signed with the key")

// Open verifies and reads a signed checkpoint.
func (k *Keys) Open(signed []byte) (Checkpoint, error) {
	n, err := note.Open(signed, note.VerifierList(k.verifiers...))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	c, err := parse(n.Text)
	if err == nil && n.Sigs[0].Name != c.Origin {
		err = errors.New("it is of another log")
	}
	return c, err
}

// parse reads the text of a checkpoint. Extension lines that are not known are passed over.
func parse(text string) (c Checkpoint, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	const fixed = 3
	if len(lines) < fixed {
		return c, errors.New("it is no checkpoint")
	}
	c.Origin = lines[0]
	if c.Size, err = strconv.ParseUint(lines[1], 10, 64); err != nil {
		return c, fmt.Errorf("its size can't be read: %w", err)
	}
	if c.Root, err = base64.StdEncoding.DecodeString(lines[2]); err != nil {
		return c, fmt.Errorf("its root can't be read: %w", err)
	}
	for _, line := range lines[fixed:] {
		if err := c.extension(line); err != nil {
			return c, fmt.Errorf("the line %q can't be read: %w", line, err)
		}
	}
	return c, nil
}

func (c *Checkpoint) extension(line string) (err error) {
	key, value, _ := strings.Cut(line, " ")
	switch key + " " {
	case lineNumber:
		c.Number, err = strconv.ParseUint(value, 10, 64)
	case lineTime:
		c.Time, err = time.Parse(time.RFC3339Nano, value)
	case lineSequences:
		_, err = fmt.Sscanf(value, "%d-%d", &c.First, &c.Last)
	case linePrevious:
		if value != "-" {
			c.Previous = value
		}
	}
	return err
}

// Fits is an error unless a tree is the one of the checkpoint.
func (c Checkpoint) Fits(t *Tree) error {
	root, err := t.Root()
	if err != nil {
		return err
	}
	if t.Size() != c.Size || !bytes.Equal(root, c.Root) {
		return fmt.Errorf("the checkpoint is of a tree of %d records, which are not the %d that are stored", c.Size, t.Size())
	}
	return nil
}
