package standing_test

import (
	"testing"

	"github.com/outbound-events/outbound/pkg/bustest"
)

func TestMain(m *testing.M) { bustest.VerifyTestMain(m) }
