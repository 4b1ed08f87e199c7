package harness_test

import (
	"errors"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/waittest"
)

const patience = 10 * time.Second

var errNothing = errors.New("nothing came")

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }
