package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// keys is a Tink keyset: one key seals, all of them open.
type keys struct {
	aead tink.AEAD
	// primary is the id of the key that seals, ids are those of all that are enabled.
	primary string
	ids     []string
	// content is the keyset in Tink's JSON.
	content []byte
	handle  *keyset.Handle
}

// sealingWith is the same keyset, of which another key seals.
func (k *keys) sealingWith(id string) (*keys, error) {
	if k.primary == id {
		return k, nil
	}
	m := keyset.NewManagerFromHandle(k.handle)
	n, err := strconv.ParseUint(id, 16, 32)
	if err == nil {
		err = m.SetPrimary(uint32(n))
	}
	var handle *keyset.Handle
	if err == nil {
		handle, err = m.Handle()
	}
	if err != nil {
		return nil, fmt.Errorf("seal with the key %s: %w", id, err)
	}
	a, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("seal with the key %s: %w", id, err)
	}
	return &keys{aead: a, primary: id, ids: k.ids, content: k.content, handle: handle}, nil
}

// readKeys reads a keyset in Tink's JSON, as it is or in base64.
func readKeys(content []byte, from string) (*keys, error) {
	text := bytes.TrimSpace(content)
	if len(text) > 0 && text[0] != '{' {
		if plain, err := base64.StdEncoding.DecodeString(string(text)); err == nil {
			text = plain
		}
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		return nil, fmt.Errorf("read the sealing key in %s: not a Tink keyset in JSON: restore the file from a backup, or what is "+
			"kept there: %w", from, err)
	}
	a, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("use the sealing key in %s: %w", from, err)
	}
	k := &keys{aead: a, content: text, handle: handle}
	primary, err := handle.Primary()
	if err != nil {
		return nil, fmt.Errorf("use the sealing key in %s: %w", from, err)
	}
	k.primary = keyName(primary.KeyID())
	for i := range handle.Len() {
		if e, err := handle.Entry(i); err == nil && e.KeyStatus() == keyset.Enabled {
			k.ids = append(k.ids, keyName(e.KeyID()))
		}
	}
	return k, nil
}

// NewKeyset makes a keyset with one AES-256-GCM key, in Tink's JSON. A later key may be added by Tink's own tool; what the older one
// sealed can still be opened.
func NewKeyset() ([]byte, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("create a sealing key: %w", err)
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b)); err != nil {
		return nil, fmt.Errorf("write a sealing key: %w", err)
	}
	return append(b.Bytes(), '\n'), nil
}

// NewKeysetAfter makes a keyset with a new key that seals, and those of an earlier keyset, which open what they have sealed.
func NewKeysetAfter(earlier *Sealer) ([]byte, error) {
	m := keyset.NewManagerFromHandle(earlier.root.handle)
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err == nil {
		err = m.SetPrimary(id)
	}
	var handle *keyset.Handle
	if err == nil {
		handle, err = m.Handle()
	}
	var b bytes.Buffer
	if err == nil {
		err = insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b))
	}
	if err != nil {
		return nil, fmt.Errorf("add a sealing key to %s: %w", earlier.place, err)
	}
	return append(b.Bytes(), '\n'), nil
}

// keyName is the id of a key in words: eight hexadecimal digits.
func keyName(id uint32) string { return fmt.Sprintf("%08x", id) }

const (
	// withID begins what a key with an id seals (Tink's output prefix TINK): this byte, then the id, big-endian.
	withID = 1
	lenID  = 5
)

// WithoutID stands for the keys whose values do not begin with an id.
const WithoutID = "-"

// KeyOf is the id of the key that has sealed a value, "-" for a value without one, which a keyset of the prefix RAW has sealed.
func KeyOf(sealed []byte) string {
	if len(sealed) < lenID || sealed[0] != withID {
		return WithoutID
	}
	return keyName(binary.BigEndian.Uint32(sealed[1:lenID]))
}

// listed joins ids for an error.
func listed(ids []string) string {
	if len(ids) == 0 {
		return "none"
	}
	return strings.Join(ids, ", ")
}
