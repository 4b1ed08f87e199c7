package history

import (
	"errors"
	"fmt"

	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/tlog"
)

// CheckpointKeys reads the key that the options name; nil: they name none.
func (o Options) CheckpointKeys() (*tlog.Keys, error) {
	place, err := secret.ParsePlace(o.CheckpointKey)
	if err != nil || !place.Given() {
		return nil, err
	}
	content, err := place.Read()
	if err != nil {
		return nil, fmt.Errorf("checkpointKey: %w: make a key with outbound keys new --checkpoint", err)
	}
	keys, err := tlog.ParseKeys(content)
	if err == nil && !keys.Signs() {
		err = errors.New("it holds no key that signs")
	}
	if err != nil {
		return nil, fmt.Errorf("checkpointKey: %s: %w", place, err)
	}
	return keys, nil
}
