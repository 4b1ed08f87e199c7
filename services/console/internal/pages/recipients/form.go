package recipients

import (
	"errors"

	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// commonFields returns the fields that are bound by their paths. The other fields are in formparts.go and formauth.go.
func commonFields() []string {
	return []string{"id", "displayName", "enabled", "whileDisabled", "eventTypes", "filter", "etag"}
}

func httpFields() []string {
	return []string{
		"http.url", "http.caCertificatePem", "http.sendCustomFields", "http.retryInterval", "http.retryDuration", "http.format", "http.success",
		"http.maxInFlight", "http.order", "http.timeout", "http.stopOnGone", "http.bodyTemplate", "http.bodyContentType", "http.contentType",
		"http.legacyTls", "http.smallClientHello", "http.secretHeaders",
		"http.contact.addresses", "http.contact.alertAfter", "http.contact.resendEvery", "http.rateLimit.limit", "http.rateLimit.period",
	}
}

func backoffFields() []string { return []string{"http.backoff.multiplier", "http.backoff.ceiling"} }

func emailFields() []string {
	return []string{"email.addresses", "email.requireExternalKey", "email.subject", "email.body", "email.htmlBody"}
}

// seenField holds the update time of the shown recipient, to find later changes of others.
const seenField = "seen"

// show returns a form with the values of a recipient.
func show(r *outboundv1.Recipient) (*web.Form, error) {
	form := web.NewForm(nil)
	paths := commonFields()
	if r.GetEmail() != nil {
		paths = append(paths, emailFields()...)
	} else {
		paths = append(paths, httpFields()...)
		paths = append(paths, backoffFields()...)
	}
	if err := form.Show(r, paths...); err != nil {
		return nil, err
	}
	form.Set("appliances", r.GetAppliances()...)
	form.Set(seenField, seen(r))
	if err := showWindows(form, r); err != nil {
		return nil, err
	}
	if h := r.GetHttp(); h != nil {
		if h.GetBackoff() != nil {
			form.Set("http.backoff", "true")
		}
		showHeaders(form, h)
		showSigning(form, h)
		return form, showAuth(form, r)
	}
	showOverrides(form, r.GetEmail())
	return form, nil
}

// seen returns the update time of a recipient with full precision.
func seen(r *outboundv1.Recipient) string {
	if r.GetUpdateTime() == nil {
		return ""
	}
	return r.GetUpdateTime().AsTime().UTC().Format("2006-01-02T15:04:05.999999999Z07:00")
}

// read returns the recipient in a form. It adds invalid values as faults to the form.
func read(form *web.Form, email bool) (*outboundv1.Recipient, error) {
	r := &outboundv1.Recipient{}
	if email {
		r.Channel = &outboundv1.Recipient_Email{Email: &outboundv1.EmailRecipient{}}
	} else {
		r.Channel = &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{}}
	}
	err := form.Read(r, commonFields()...)
	r.Appliances = lines(form.All("appliances"))
	readWindows(form, r)
	if email {
		err = errors.Join(err, form.Read(r, emailFields()...))
		readOverrides(form, r.GetEmail())
		return r, err
	}
	return r, errors.Join(err, readHTTP(form, r))
}

func readHTTP(form *web.Form, r *outboundv1.Recipient) error {
	files := takeFiles(form, "http.caCertificate", "http.auth.clientCertificate.certificate", "http.auth.clientCertificate.privateKey")
	err := errors.Join(files, form.Read(r, httpFields()...))
	h := r.GetHttp()
	// A rate limit without a number is no limit.
	if h.GetRateLimit().GetLimit() == 0 && form.Get("http.rateLimit.limit") == "" {
		h.RateLimit = nil
	}
	// Without addresses and intervals there is no contact.
	if c := h.GetContact(); c != nil && len(c.GetAddresses())+span(c.GetAlertAfter())+span(c.GetResendEvery()) == 0 {
		h.Contact = nil
	}
	if form.On("http.backoff") {
		h.Backoff = &outboundv1.Backoff{}
		err = errors.Join(err, form.Read(r, backoffFields()...))
	}
	readHeaders(form, h)
	readSigning(form, h)
	return errors.Join(err, readAuth(form, r))
}

// span returns 1 for a duration that is set, else 0.
func span(d *durationpb.Duration) int {
	if d == nil {
		return 0
	}
	return 1
}

// takeFiles copies uploaded files into their text fields, so that an error does not lose them.
func takeFiles(form *web.Form, stems ...string) error {
	for _, stem := range stems {
		text, err := form.File(stem + "File")
		if err != nil {
			return err
		}
		if text != "" {
			form.Set(stem+"Pem", text)
		}
	}
	return nil
}
