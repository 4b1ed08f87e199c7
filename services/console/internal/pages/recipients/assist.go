package recipients

import (
	"net/http"
	"strings"
	"time"

	certfile "github.com/outbound-events/outbound/pkg/certificate"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/trust"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// preview is the rendered request or email, or the faults that prevent it.
type preview struct {
	Form   *web.Form
	Answer *outboundv1.PreviewRecipientResponse
	Label  string
}

// exampleField selects the event of a preview: `event:<key>`, `type:<event type>` for a sample, or nothing.
const exampleField = "example"

// showPreview renders the recipient in the form, saved or not.
func showPreview(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	p := preview{Form: form}
	wanted, err := read(form, form.Get("channel") == "email")
	if err != nil {
		return err
	}
	q := &outboundv1.PreviewRecipientRequest{Recipient: wanted}
	switch kind, name, _ := strings.Cut(form.Get(exampleField), ":"); kind {
	case "event":
		q.EventId = name
	case "type":
		q.EventType = name
	}
	if !form.Bad() {
		p.Answer, err = r.API.Recipients.PreviewRecipient(r.Context(), q)
		if err != nil {
			text, ok := faultText(err)
			if !ok {
				return err
			}
			form.Refused(err)
			if !form.Bad() {
				form.Notice = text
			}
		}
	}
	return r.RenderPart("edit", "preview-result", p)
}

// filterTrial is the result of a filter on recent events.
type filterTrial struct {
	Answer *outboundv1.TestFilterResponse
	Fault  string
	Empty  bool
}

// eventsTried is the number of recent events that a filter is tested on.
const eventsTried = 100

func tryFilter(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	p := filterTrial{Empty: form.Get("filter") == ""}
	if !p.Empty {
		q := &outboundv1.TestFilterRequest{Filter: form.Get("filter"), EventTypes: form.All("eventTypes"), Events: eventsTried}
		if p.Answer, err = r.API.Recipients.TestFilter(r.Context(), q); err != nil {
			text, ok := faultText(err)
			if !ok {
				return err
			}
			p.Fault = text
		}
	}
	return r.RenderPart("edit", "filter-result", p)
}

// showMacros lists the macros of the chosen event types.
func showMacros(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	return r.RenderPart("edit", "macro-list", &editPage{Macros: macros(r, form.All("eventTypes"))})
}

func macros(r *web.Request, types []string) *outboundv1.ListMacrosResponse {
	answer, err := r.API.Settings.ListMacros(r.Context(), &outboundv1.ListMacrosRequest{EventTypes: types})
	if err != nil {
		// The form works without macros.
		return nil
	}
	return answer
}

// certificates describes the certificates in a PEM text.
type certificates struct {
	List  []certificate
	Fault string
}

type certificate struct {
	Subject, Issuer, Fingerprint, Serial string
	Names                                []string
	From, Until                          time.Time
	// Pinned says that it can't sign others, so that as a root certificate it is trusted for itself alone.
	Expired, Pinned bool
}

// readCertificates describes the certificates in a text, saved or not. It returns nothing for an empty text.
func readCertificates(text string) certificates {
	if strings.TrimSpace(text) == "" {
		return certificates{}
	}
	list, err := credential.ParseCertificates(text)
	if err != nil {
		return certificates{Fault: "The text " + err.Error() + "."}
	}
	var out certificates
	for _, c := range list {
		names := append([]string(nil), c.DNSNames...)
		for _, ip := range c.IPAddresses {
			names = append(names, ip.String())
		}
		out.List = append(out.List, certificate{
			Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: c.SerialNumber.Text(16), Names: names, From: c.NotBefore,
			Until:       c.NotAfter,
			Fingerprint: certfile.Fingerprint(c), Expired: time.Now().After(c.NotAfter),
			Pinned: !trust.CanSign(c),
		})
	}
	return out
}

func showCertificates(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	field := r.URL.Query().Get("field")
	if field != "http.caCertificatePem" && field != "http.auth.clientCertificate.certificatePem" {
		return web.Fail(http.StatusBadRequest, "Unknown field", "Reload the form.")
	}
	return r.RenderPart("edit", "certificate-list", readCertificates(form.Raw(field)))
}
