package recipients

import (
	"errors"

	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// The fields of the API that bind by their paths; the others are in formparts.go and formauth.go.
func commonFields() []string {
	return []string{"id", "displayName", "enabled", "whileDisabled", "eventTypes", "filter", "etag"}
}

func httpFields() []string {
	return []string{
		"http.url", "http.caCertificatePem", "http.sendCustomFields", "http.retryInterval", "http.retryDuration", "http.format", "http.success",
		"http.maxInFlight", "http.order", "http.timeout", "http.stopOnGone", "http.bodyTemplate", "http.bodyContentType",
		"http.contact.addresses", "http.contact.alertAfter", "http.contact.resendEvery", "http.rateLimit.limit", "http.rateLimit.period",
	}
}

func backoffFields() []string { return []string{"http.backoff.multiplier", "http.backoff.ceiling"} }

func emailFields() []string {
	return []string{"email.addresses", "email.requireExternalKey", "email.subject", "email.body", "email.htmlBody"}
}

// seenField holds when what the form shows was saved, to tell what others saved since.
const seenField = "seen"

// show has a form show a recipient.
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

// seen is when a recipient was last changed, to the last digit.
func seen(r *outboundv1.Recipient) string {
	if r.GetUpdateTime() == nil {
		return ""
	}
	return r.GetUpdateTime().AsTime().UTC().Format("2006-01-02T15:04:05.999999999Z07:00")
}

// read makes a recipient of what was typed. What can't be read is noted beside its field.
func read(form *web.Form, email bool) (*outboundv1.Recipient, error) {
	r := &outboundv1.Recipient{}
	if email {
		r.Channel = &outboundv1.Recipient_Email{Email: &outboundv1.EmailRecipient{}}
	} else {
		r.Channel = &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{}}
	}
	err := form.Read(r, commonFields()...)
	r.Appliances = lines(form.All("appliances"))
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
	// A limit without a number is none.
	if h.GetRateLimit().GetLimit() == 0 && form.Get("http.rateLimit.limit") == "" {
		h.RateLimit = nil
	}
	// Nobody is told of nothing.
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

// span is 1 for a time span that was given, 0 for none.
func span(d *durationpb.Duration) int {
	if d == nil {
		return 0
	}
	return 1
}

// takeFiles puts uploaded files in place of what their text fields hold, so that an error does not lose them.
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
