package settings

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

func applianceFields() []string {
	return []string{"id", "displayName", "silentAfter", "maxEventsPerSecond", "maxBytesPerSecond", "tokenNeverExpires", "etag"}
}

type appliancesPage struct {
	Form       *web.Form
	Appliances []*outboundv1.Appliance
	Status     map[string]*outboundv1.ApplianceStatus
	// Issued are new credentials, which are shown once.
	Issued *outboundv1.ApplianceCredentials
}

func showAppliances(r *web.Request) error {
	return renderAppliances(r, appliancesPage{Form: &web.Form{}})
}

func renderAppliances(r *web.Request, p appliancesPage) error {
	answer, err := r.API.Settings.ListAppliances(r.Context(), &outboundv1.ListAppliancesRequest{})
	if err != nil {
		return err
	}
	p.Appliances, p.Status = answer.GetAppliances(), map[string]*outboundv1.ApplianceStatus{}
	if s, err := r.API.Status.GetStatus(r.Context(), &outboundv1.GetStatusRequest{}); err == nil {
		for _, a := range s.GetAppliances() {
			p.Status[a.GetApplianceId()] = a
		}
	}
	return r.Render("appliances", p)
}

func addAppliance(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	a := &outboundv1.Appliance{}
	if err := form.Read(a, applianceFields()...); err != nil {
		return err
	}
	var issued *outboundv1.ApplianceCredentials
	if !form.Bad() {
		issued, err = r.API.Settings.CreateAppliance(r.Context(), &outboundv1.CreateApplianceRequest{Appliance: a})
		if err != nil && !form.Refused(err) {
			return err
		}
	}
	if form.Bad() {
		return renderInvalid(r, func(r *web.Request, f *web.Form) error { return renderAppliances(r, appliancesPage{Form: f}) }, form)
	}
	return renderAppliances(r, appliancesPage{Form: &web.Form{}, Issued: issued})
}

type appliancePage struct {
	Form      *web.Form
	Appliance *outboundv1.Appliance
}

func showAppliance(r *web.Request) error { return renderAppliance(r, nil) }

func renderAppliance(r *web.Request, form *web.Form) error {
	a, err := r.API.Settings.GetAppliance(r.Context(), &outboundv1.GetApplianceRequest{Id: r.PathValue("id")})
	if err != nil {
		return err
	}
	if form == nil {
		form = web.NewForm(nil)
		if err := form.Show(a, applianceFields()...); err != nil {
			return err
		}
	}
	return r.Render("appliance", appliancePage{Form: form, Appliance: a})
}

func saveAppliance(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	a := &outboundv1.Appliance{}
	if err := form.Read(a, applianceFields()...); err != nil {
		return err
	}
	a.Id = r.PathValue("id")
	if !form.Bad() {
		_, err = r.API.Settings.UpdateAppliance(r.Context(), &outboundv1.UpdateApplianceRequest{Appliance: a})
		if err != nil && !form.Refused(err) {
			return err
		}
	}
	if form.Bad() {
		return renderInvalid(r, renderAppliance, form)
	}
	r.Flash(web.Good, "Appliance saved.")
	return r.Redirect("/settings/appliances")
}

// tokenOverlap is how long the old token of an appliance is accepted after it was renewed here.
const tokenOverlap = 24 * time.Hour

func rotateAppliance(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	q := &outboundv1.RotateApplianceRequest{Id: r.PathValue("id")}
	if form.Get("token") == "renew" {
		q.TokenOnly, q.Overlap = true, durationpb.New(tokenOverlap)
	}
	issued, err := r.API.Settings.RotateAppliance(r.Context(), q)
	if err != nil {
		return err
	}
	return renderAppliances(r, appliancesPage{Form: &web.Form{}, Issued: issued})
}

func deleteAppliance(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	_, err = r.API.Settings.DeleteAppliance(r.Context(), &outboundv1.DeleteApplianceRequest{Id: r.PathValue("id"), Etag: form.Get("etag")})
	return finish(r, err, "Appliance revoked. Its credentials no longer work.", "/settings/appliances")
}
