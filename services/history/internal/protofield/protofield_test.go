package protofield_test

import (
	"testing"
	"time"

	"github.com/outbound-events/outbound/services/history/internal/protofield"
)

func TestMissingTimesAreNoTimestamps(t *testing.T) {
	if got := protofield.Timestamp(time.Time{}); got != nil {
		t.Errorf("the zero time is %v, want nil", got)
	}
	if got := protofield.OptionalTimestamp(nil); got != nil {
		t.Errorf("a missing time is %v, want nil", got)
	}
	now := time.Now()
	if got := protofield.OptionalTimestamp(&now); !got.AsTime().Equal(now) {
		t.Errorf("%v is %v", now, got.AsTime())
	}
}

func TestTextIsUTF8(t *testing.T) {
	for in, want := range map[string]string{"": "", "größe": "größe", "a\xffb": "a\uFFFDb"} {
		if got := protofield.Text(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}
