// Package deploytest_test proves what lies in deploy/ and docker-compose.yml, as far as that can be done without an engine: the
// schema, the files, each service's options, the broker's configuration; and that the demo ends well.
package deploytest_test

import (
	"os"
	"testing"

	"github.com/outbound-events/outbound/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
