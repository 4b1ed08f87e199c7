package harness_test

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const patience = 10 * time.Second

var errNothing = errors.New("nothing came")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
