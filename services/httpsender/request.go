package httpsender

import (
	"net/http"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
)

// errAuth is a fault of a recipient's auth; everything else that keeps a target from being made is not.
var errAuth = render.ErrAuth

// target is what the requests to one revision of a recipient have in common. They are written in pkg/render, where previews
// are too.
type target struct {
	*render.HTTPWriter
	timeout time.Duration
}

func newTarget(h *recipient.HTTPTarget, userAgent string) (*target, error) {
	w, err := render.NewHTTPWriter(h, userAgent)
	if err != nil {
		return nil, err
	}
	return &target{HTTPWriter: w, timeout: h.Timeout}, nil
}

// request is the header and the body of one attempt.
func (t *target) request(d *delivery.Delivery, s render.Sending) (http.Header, []byte, error) {
	header, body, err := t.Request(d, s)
	return http.Header(header), body, err
}
