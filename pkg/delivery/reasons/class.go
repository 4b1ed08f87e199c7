package reasons

// Class joins reasons for filters and counts.
type Class string

// The classes, as the API spells them.
const (
	ClassOK           Class = "ok"
	ClassNetwork      Class = "network"
	ClassTLS          Class = "tls"
	ClassTimeout      Class = "timeout"
	ClassHTTP4xx      Class = "http_4xx"
	ClassHTTP5xx      Class = "http_5xx"
	ClassHTTPOther    Class = "http_other"
	ClassSMTPDeferred Class = "smtp_deferred"
	ClassSMTPRefused  Class = "smtp_refused"
	ClassAuth         Class = "auth"
	ClassEgress       Class = "egress"
	ClassRender       Class = "render"
	ClassNotWanted    Class = "not_wanted"
	ClassExpired      Class = "expired"
	ClassCancelled    Class = "cancelled"
	ClassOther        Class = "other"
)

// Classes are all classes, in the order in which they are offered.
func Classes() []Class {
	return []Class{
		ClassOK, ClassNetwork, ClassTLS, ClassTimeout, ClassHTTP4xx, ClassHTTP5xx, ClassHTTPOther, ClassSMTPDeferred, ClassSMTPRefused,
		ClassAuth, ClassEgress, ClassRender, ClassNotWanted, ClassExpired, ClassCancelled, ClassOther,
	}
}

// ClassOf is the one table from reasons to classes. status is the HTTP status or SMTP code, 0 if there was none.
func ClassOf(r Reason, status int) Class {
	switch r {
	case OK, PartlyDelivered:
		return ClassOK
	case HTTPStatus, Gone, Redirect:
		return httpClass(status)
	case DNS, Connect, ConnectionCut, Protocol, Proxy:
		return ClassNetwork
	case TLS:
		return ClassTLS
	case Timeout:
		return ClassTimeout
	case SMTPDeferred, RelayUnset:
		return ClassSMTPDeferred
	case SMTPRefused:
		return ClassSMTPRefused
	case Auth:
		return ClassAuth
	case Egress:
		return ClassEgress
	case Render, Unreadable:
		return ClassRender
	case TypeUnwanted, ApplianceOut, NoExternalKey, FilterFalse, FilterError, Disabled:
		return ClassNotWanted
	case Expired:
		return ClassExpired
	case Deleted, Purged, Cancelled, Backlog, eventLost, recipientLost:
		return ClassCancelled
	default:
		return ClassOther
	}
}

func httpClass(status int) Class {
	switch status / 100 {
	case 4:
		return ClassHTTP4xx
	case 5:
		return ClassHTTP5xx
	default:
		return ClassHTTPOther
	}
}
