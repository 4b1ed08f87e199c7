package harness_test

import (
	"errors"
	"testing"

	"github.com/outbound-events/outbound/pkg/waittest"
)

var errNothing = errors.New("nothing came")

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }
