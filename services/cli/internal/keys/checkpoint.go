package keys

import (
	"fmt"
	"io"

	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/tlog"
)

// newCheckpointKey prints a key that signs checkpoints, and the verifier keys of the one before it.
func newCheckpointKey(to io.Writer, after secret.Place) error {
	content, err := tlog.NewKey()
	if err != nil {
		return err
	}
	if after.Given() {
		raw, err := after.Read()
		if err != nil {
			return fmt.Errorf("--after: %w", err)
		}
		earlier, err := tlog.ParseKeys(raw)
		if err != nil {
			return fmt.Errorf("--after %s: %w", after, err)
		}
		for _, key := range earlier.Verifiers() {
			content = append(content, key+"\n"...)
		}
	}
	_, err = to.Write(content)
	return err
}
