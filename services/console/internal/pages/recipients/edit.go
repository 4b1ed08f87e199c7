package recipients

import (
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/plot"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// editPage is the data of a recipient page, stored or new.
type editPage struct {
	choices
	Form  *web.Form
	Email bool
	// Recipient is what is stored; nil for a new one.
	Recipient *outboundv1.Recipient
	// Row is the recipient with its status.
	Row row
	// Made are new signing secrets, which are shown once.
	Made []*outboundv1.SigningSecret
	// Others are the revisions that others saved while the form was open, newest first.
	Others      []*outboundv1.Revision
	Macros      *outboundv1.ListMacrosResponse
	Diagnostics *outboundv1.DoctorRecipientResponse
	Test        *testRun
	// Plots are what happened to the recipient; nil for a new one.
	Plots *plot.Section
}

// New reports whether the recipient is not stored yet.
func (p *editPage) New() bool { return p.Recipient == nil }

// Action is the path that the form posts to.
func (p *editPage) Action() string {
	if p.New() {
		return "/recipients"
	}
	return "/recipients/" + p.Recipient.GetId()
}

// Chosen reports whether an event type or appliance is selected.
func (p *editPage) Chosen(field, value string) bool {
	for _, v := range p.Form.All(field) {
		if v == value {
			return true
		}
	}
	return false
}

// At returns the value of a field in row i.
func (p *editPage) At(field string, i int) string { return at(p.Form.All(field), i) }

// Certificates describes the root certificates in the form.
func (p *editPage) Certificates() certificates {
	return readCertificates(p.Form.Raw("http.caCertificatePem"))
}

// ClientCertificates describes the client certificate in the form.
func (p *editPage) ClientCertificates() certificates {
	return readCertificates(p.Form.Raw("http.auth.clientCertificate.certificatePem"))
}

// More reports whether More settings is open from the start.
func (p *editPage) More() bool { return p.Form.Bad() }

// showRecipient shows a recipient or the form of a new one. `new` is also a valid id.
func showRecipient(r *web.Request) error {
	id, channel := r.PathValue("id"), r.URL.Query().Get("channel")
	if id == "new" && channel != "" {
		return showNew(r, channel == "email")
	}
	p, err := r.API.Recipients.GetRecipient(r.Context(), &outboundv1.GetRecipientRequest{Id: id})
	if id == "new" && status.Code(err) == codes.NotFound {
		return r.Redirect("/recipients/new?channel=http")
	}
	if err != nil {
		return err
	}
	page := &editPage{Recipient: p, Email: p.GetEmail() != nil}
	if event := r.URL.Query().Get("test"); event != "" {
		run := findTest(r, id, event)
		page.Test = &run
	}
	return render(r, page)
}

func showNew(r *web.Request, email bool) error {
	if !r.Me.Operates() {
		return web.Fail(http.StatusForbidden, "Permission denied", "You need the operator role to add recipients.")
	}
	p := &editPage{Form: web.NewForm(map[string]string{"enabled": "true"}), Email: email}
	return render(r, p)
}

// render shows the page. Without a form it shows the stored recipient.
func render(r *web.Request, p *editPage) error {
	if p.Form == nil {
		form, err := show(p.Recipient)
		if err != nil {
			return err
		}
		p.Form = form
	}
	var err error
	if p.choices, err = offer(r.Context(), r.API, p.Email, p.Form.All("eventTypes")); err != nil {
		return err
	}
	if p.Email {
		p.Macros = macros(r, p.Form.All("eventTypes"))
	}
	if p.Recipient != nil {
		p.Row = recipientStatus(r, p.Recipient)
		p.Plots = plot.For(r, p.Recipient.GetId(), "/recipients/"+url.PathEscape(p.Recipient.GetId()))
	}
	return r.Render("edit", p)
}

// recipientStatus returns a recipient with its status, if that is available.
func recipientStatus(r *web.Request, p *outboundv1.Recipient) row {
	out := row{Recipient: p}
	if s, err := r.API.Status.GetStatus(r.Context(), &outboundv1.GetStatusRequest{RecipientId: p.GetId()}); err == nil &&
		len(s.GetRecipients()) == 1 {
		out.Status = s.GetRecipients()[0]
	}
	out.backfilled = findBackfill(r, out.Status)
	return out
}

// create creates a recipient.
func create(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	email := form.Get("channel") == "email"
	wanted, err := read(form, email)
	if err != nil {
		return err
	}
	var made *outboundv1.Recipient
	if !form.Bad() {
		made, err = r.API.Recipients.CreateRecipient(r.Context(), &outboundv1.CreateRecipientRequest{Recipient: wanted})
		if err != nil && !form.Refused(err) {
			return err
		}
	}
	if form.Bad() {
		r.Status(http.StatusUnprocessableEntity)
		return render(r, &editPage{Form: form, Email: email})
	}
	return saved(r, made, "Recipient added. It receives events that are accepted from now on. Send a test event to verify it.")
}

// save replaces all fields of a recipient with those of the form.
func save(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	stored, err := r.API.Recipients.GetRecipient(r.Context(), &outboundv1.GetRecipientRequest{Id: r.PathValue("id")})
	if err != nil {
		return err
	}
	wanted, err := read(form, stored.GetEmail() != nil)
	if err != nil {
		return err
	}
	wanted.Id = stored.GetId()
	var changed *outboundv1.Recipient
	if !form.Bad() {
		changed, err = r.API.Recipients.UpdateRecipient(r.Context(), &outboundv1.UpdateRecipientRequest{Recipient: wanted})
		if err != nil && !form.Refused(err) {
			return err
		}
	}
	if !form.Bad() {
		return saved(r, changed, "Changes saved. They take effect within 5 seconds.")
	}
	p := &editPage{Form: form, Email: stored.GetEmail() != nil, Recipient: stored}
	if form.Conflict {
		p.conflict(r)
	}
	r.Status(http.StatusUnprocessableEntity)
	return render(r, p)
}

// saved shows the saved recipient. Generated secrets are shown in this response only.
func saved(r *web.Request, p *outboundv1.Recipient, message string) error {
	var made []*outboundv1.SigningSecret
	for _, s := range p.GetHttp().GetSigningSecrets() {
		if s.GetSecret() != "" {
			made = append(made, s)
		}
	}
	r.Flash(web.Good, message)
	if len(made) == 0 {
		return r.Redirect("/recipients/" + p.GetId())
	}
	if r.Part() {
		r.W.Header().Set("HX-Push-Url", "/recipients/"+p.GetId())
	}
	return render(r, &editPage{Recipient: p, Email: p.GetEmail() != nil, Made: made})
}

// conflict shows what others saved while the form was open. Saving again overwrites their changes.
func (p *editPage) conflict(r *web.Request) {
	p.Form.Conflict = false
	p.Form.Notice = "Someone else saved changes in the meantime. Your input is kept; their changes are shown above. Save again to " +
		"overwrite them."
	opened := p.Form.Get(seenField)
	p.Form.Set("etag", p.Recipient.GetEtag())
	p.Form.Set(seenField, seen(p.Recipient))
	answer, err := r.API.Settings.ListRevisions(r.Context(),
		&outboundv1.ListRevisionsRequest{Resource: "recipients/" + p.Recipient.GetId(), PageSize: 20})
	if err != nil {
		return
	}
	for _, x := range answer.GetRevisions() {
		var then outboundv1.Recipient
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(x.GetResourceJson()), &then); err != nil ||
			seen(&then) == opened {
			return
		}
		p.Others = append(p.Others, x)
	}
}

// faultText returns the faults of a request in one line. ok is false for an error that is not about the request.
func faultText(err error) (text string, ok bool) {
	form := &web.Form{}
	switch {
	case err == nil:
		return "", true
	case !form.Refused(err):
		return "", false
	}
	var parts []string
	if form.Notice != "" {
		parts = append(parts, form.Notice)
	}
	for _, x := range form.Faults {
		parts = append(parts, web.PlainWords(x.Field)+": "+x.Text)
	}
	if form.Conflict {
		parts = append(parts, "Someone else changed this in the meantime. Review the current version, then try again.")
	}
	return strings.Join(parts, " "), true
}

// StoredAuth reports which secrets are stored.
func (p *editPage) StoredAuth() *outboundv1.HttpAuth { return p.Recipient.GetHttp().GetAuth() }

// PublicKey returns the public key of a signing secret, if it is a key pair.
func (p *editPage) PublicKey(id string) string {
	for _, s := range p.Recipient.GetHttp().GetSigningSecrets() {
		if s.GetId() == id {
			return s.GetPublicKey()
		}
	}
	return ""
}
