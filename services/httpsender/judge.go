package httpsender

import (
	"fmt"
	"net/http"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// maxRetryAfter is the longest wait that a receiver may ask for. A longer one is cut: Retry-After is advice.
const (
	maxRetryAfter     = time.Hour
	maxRetryAfterText = "1h"
)

// Judge says what an outcome means. Success is HTTP 200 exactly unless the recipient says otherwise; everything else that a
// receiver does is tried again until the retry duration ends. What we cannot write is dropped: it would be no better next time.
func (s *sender) Judge(d *delivery.Delivery, o delivery.Outcome) delivery.Verdict {
	switch o.Fault {
	case delivery.FaultNone:
		return judgeStatus(d.Recipient.HTTP, o)
	case delivery.FaultShutdown:
		return delivery.Verdict{Kind: delivery.Postpone, Reason: reasons.Shutdown, Detail: o.Detail}
	case delivery.FaultOverdue:
		return delivery.Verdict{Kind: delivery.Postpone, Reason: reasons.Overdue, Detail: o.Detail}
	case delivery.FaultRender:
		return delivery.Verdict{Kind: delivery.Drop, Reason: reasons.Render, Detail: o.Detail}
	default:
		return delivery.Verdict{Kind: delivery.Retry, Reason: delivery.ReasonOf(o.Fault), Detail: o.Detail}
	}
}

func judgeStatus(h *recipient.HTTPTarget, o delivery.Outcome) delivery.Verdict {
	switch {
	case success(h, o.Status):
		return delivery.Verdict{Kind: delivery.Delivered, Reason: reasons.OK}
	case o.Status >= 300 && o.Status < 400:
		return retry(reasons.Redirect, o, "redirects are not followed")
	case o.Status == http.StatusGone && h != nil && h.StopOnGone:
		v := retry(reasons.Gone, o, "the receiver no longer accepts this event")
		v.Kind = delivery.Drop
		return v
	case o.Status == http.StatusTooManyRequests || o.Status == http.StatusServiceUnavailable:
		v := retry(reasons.HTTPStatus, o, "")
		v.After = min(o.RetryAfter, maxRetryAfter)
		if v.After > 0 {
			v.Detail += fmt.Sprintf("; Retry-After is %s", o.RetryAfter.Round(time.Second))
		}
		if o.RetryAfter > maxRetryAfter {
			v.Detail += ", waiting " + maxRetryAfterText + " at most"
		}
		return v
	default:
		return retry(reasons.HTTPStatus, o, "")
	}
}

func success(h *recipient.HTTPTarget, status int) bool {
	if h != nil && h.Success == recipient.Any2xx {
		return status >= 200 && status < 300
	}
	return status == http.StatusOK
}

func retry(reason reasons.Reason, o delivery.Outcome, why string) delivery.Verdict {
	detail := statusText(o.Status)
	if why != "" {
		detail += ": " + why
	}
	if o.Detail != "" {
		detail += "; " + o.Detail
	}
	return delivery.Verdict{Kind: delivery.Retry, Reason: reason, Detail: detail}
}

func statusText(status int) string {
	text := http.StatusText(status)
	if text == "" {
		return fmt.Sprintf("HTTP %d", status)
	}
	return fmt.Sprintf("HTTP %d %s", status, text)
}
