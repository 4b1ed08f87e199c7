package ledger_test

import (
	"os"
	"testing"

	"github.com/outbound-events/outbound/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
