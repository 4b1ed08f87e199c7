package demo_test

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/allinone"
	"github.com/outbound-events/outbound/services/demo"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// outbound runs the whole of Outbound with the egress rules given, and tells a demo where it is.
func outbound(t *testing.T, allowEgress ...string) demo.Deps {
	t.Helper()
	o := allinone.DefaultOptions()
	o.Data, o.HTTP, o.GRPC, o.NATS = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	o.AllowEgress, o.Telemetry.LogTo = allowEgress, io.Discard
	s, err := allinone.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Outbound ended with: %v", err)
		}
	})
	select {
	case at := <-s.Ready():
		token, err := secret.LoadToken(filepath.Join(o.Data, "admin.token"))
		if err != nil {
			t.Fatal(err)
		}
		return demo.Deps{HTTP: "http://" + at.HTTP, NATS: at.NATS, Token: token, Data: o.Data}
	case err := <-ended:
		ended <- nil
		t.Fatalf("Outbound did not start: %v", err)
	}
	return demo.Deps{}
}

func once(deadline time.Duration) demo.Options {
	o := demo.DefaultOptions()
	o.Once, o.Pause, o.Deadline = true, 0, deadline
	return o
}

func play(ctx context.Context, t *testing.T, o demo.Options, d demo.Deps) (string, error) {
	t.Helper()
	var out bytes.Buffer
	d.Out = &out
	s, err := demo.New(o, d)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Run(ctx)
	return out.String(), err
}

func TestAllArrives(t *testing.T) {
	text, err := play(t.Context(), t, once(waittest.Limit), outbound(t, "127.0.0.0/8"))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if n := strings.Count(text, "responded with 500"); n != 2 {
		t.Errorf("the account tells of %d refusals, want 2:\n%s", n, text)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	// Without the egress rule no HTTP recipient can be reached; mail is not bound by it. A busy machine takes longer to bring it.
	var err error
	for deadline := 3 * time.Second; deadline < waittest.Limit; deadline *= 2 {
		var text string
		if text, err = play(t.Context(), t, once(deadline), outbound(t)); err == nil {
			t.Fatalf("the demo is content although nothing was posted:\n%s", text)
		}
		if !strings.Contains(err.Error(), "team-lead did not receive") {
			break
		}
	}
	for _, want := range []string{"ticket-desk did not receive support-1~e-1;", "crm did not receive support-1~e-10;"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "team-lead did not receive") {
		t.Errorf("the error blames a recipient that got everything: %v", err)
	}
}

func TestARoundCutShortIsNoSuccess(t *testing.T) {
	d := outbound(t, "127.0.0.0/8")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if text, err := play(ctx, t, once(waittest.Limit), d); err == nil {
		t.Errorf("the demo is content although it was stopped:\n%s", text)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := demo.New(demo.Options{Pause: -1}, demo.Deps{})
	if err == nil || !strings.Contains(err.Error(), "pause") || !strings.Contains(err.Error(), "every") ||
		!strings.Contains(err.Error(), "deadline") {
		t.Errorf("the error is %v, want pause, every and deadline in it", err)
	}
}
