package harness

import "github.com/outbound-events/outbound/pkg/porttest"

// FreeAddress is an address that nobody listens on now, for a process that is not of the system.
func FreeAddress(t T) string {
	t.Helper()
	return porttest.Address(t)
}
