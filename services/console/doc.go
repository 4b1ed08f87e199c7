// Package console is the service that people and programs reach over HTTP: the API as REST, its OpenAPI document, the health of
// this process, and the console in the browser. It keeps nothing but who is signed in and decides nothing: REST callers' tokens
// go along to the services that answer, and pages call the same services as whoever is signed in. Nothing in it can do what
// the API cannot.
//
// # Where things are
//
//   - service.go, handler.go: wiring and REST. pages.go: the list of areas, a line each.
//   - internal/web: the ground of all pages: Site and Area (routes), Request (who asks, clients, answers), Form, Stream, template
//     functions, the layout and the partials (templates/), the stylesheet and the scripts (assets/).
//   - internal/pages/<area>: the pages of one part of the console, e.g. account, with their templates. An area imports web and
//     the API, never another area. The account area is the example to copy.
//
// # How to add an area
//
// Make internal/pages/<area>/<area>.go with its templates embedded, and a line in pages.go:
//
//	//go:embed all:templates
//	var templates embed.FS
//
//	func Register(s *web.Site) error {
//		files, err := fs.Sub(templates, "templates")
//		if err != nil {
//			return err
//		}
//		a := s.Area(files)
//		a.GET("/deliveries", list)                                      // everybody who is signed in
//		a.Page("/settings/users", rpc.RoleAdmin, users)                 // a page for admins alone
//		a.POST("/deliveries/retry", rpc.RoleOperator, retry)            // what operators and admins may do
//		return nil
//	}
//
// Patterns are those of http.ServeMux: "/events/{id}" with r.PathValue("id"). "/" alone is written "/{$}". There are GET and
// POST only: forms know no other methods. Changes are POSTs, always; every POST is held against CSRF by the site.
//
// # A handler
//
// A handler gets a *web.Request, which is the *http.Request with more, and returns an error:
//
//		func list(r *web.Request) error {
//			answer, err := r.API.Deliveries.ListDeliveries(r.Context(), &outboundv1.ListDeliveriesRequest{PageToken: r.URL.Query().Get("page")})
//			if err != nil {
//				return err // an error page, or a notice in the page if htmx asked; the words are the service's
//			}
//			return r.Render("list", listPage{Deliveries: answer.GetDeliveries()})
//		}
//
//	  - r.API has a client of each service, which calls as the signed-in person. Services check the role; the page need only hide
//	    what a role may not: {{if .Me.Operates}} … {{end}}, {{if .Me.Admins}} … {{end}} in templates, r.Me in code.
//	  - r.Render("list", data) renders templates/list.html: the whole page, or for htmx its block "content".
//	    r.RenderPart("list", "rows", data) renders one block, for htmx.
//	  - r.Redirect("/deliveries") after a POST that worked; r.Flash(web.Good, "Saved.") before it shows a notice there.
//	    With htmx a redirect is HX-Redirect, and a notice comes along with RenderPart too.
//	  - r.Status(http.StatusUnprocessableEntity) before rendering a form with faults: htmx swaps 422.
//	  - return web.Fail(http.StatusNotFound, "Title", "Text.") for what only the page knows. Any other error is logged and told as
//	    "Something went wrong here", without a word of it.
//	  - r.Stream(func(s *web.Stream) error { … s.Send("rows", "list", "rows", data) … }) answers server-sent events: heartbeats,
//	    the end with the service, the end with the session come by themselves. Loop until r.Context() ends. A browser opens six
//	    connections to a host, so a page has at most one stream. In the page:
//	    <div hx-ext="sse" sse-connect="/deliveries/tail"><table><tbody sse-swap="rows" hx-swap="afterbegin"></tbody></table></div>
//
// # A template
//
// A file templates/<page>.html defines blocks; "content" is the page, "title" its title. Files that begin with _ are parts that all
// pages of the area may use. Dot is a web.View: .Data is what the handler gave, .Me who is signed in, .Path, .Query, .Now.
//
//	{{define "title"}}Deliveries{{end}}
//	{{define "content"}}<h1>Deliveries</h1> … {{end}}
//
// Functions: ago, until (a countdown) and clock for times (*timestamppb.Timestamp or time.Time), duration (*durationpb.Duration
// or time.Duration, in words), state (a delivery's state as a chip), chip "bad" "text" (good, warn, bad, note, quiet), words
// (NO_ANSWER → no answer), bytes, count, plural 2 "event" "events", short 40 .Text, link "/deliveries" "recipientId" .ID "state" .State
// (an address with its query; empty values are left out), asset "x.js", field and fieldID (below), dict, list, join, lower.
//
// Partials: {{template "pager" (dict "next" "/deliveries?page=x" "first" "")}},
// {{template "empty" (dict "title" "No deliveries yet" "text" "…" "href" "/recipients/new" "action" "Add a recipient")}},
// {{template "confirm" (dict "id" "del" "label" "Delete" "title" "Delete CRM?" "text" "…" "action" "/recipients/crm/delete" "fields" (dict "etag" .Etag) "danger" true)}}
// (a button that asks first, in a dialog, then POSTs), {{template "copy" (dict "text" .ID "label" "Copy id")}}.
//
// Look: .bar (a title beside its actions), .card, .grid (of fields), .table around a <table> (class stack makes rows cards at
// 375 px; give cells data-label), .num, dl.facts, .actions, button.primary, button.danger, .button, .quiet, .help, .mono, .sr (for screen
// readers alone). Use the properties of app.css for colours, so that light and dark both work.
//
// An area that needs a style or a script of its own puts assets/<area>.css or .js into internal/web/assets and names them:
//
//	{{define "styles"}}<link rel="stylesheet" href="{{asset "deliveries.css"}}">{{end}}
//	{{define "scripts"}}<script src="{{asset "deliveries.js"}}" defer></script>{{end}}
//
// # A form
//
// Fields are named like the fields of the API in JSON's spelling, so that google.rpc violations find them: "http.retryInterval".
//
//	form, err := r.Input()                                  // what was typed; multipart or not
//	recipient := read(form)                                 // form.Get, form.Raw, form.On, form.All, form.Lines, form.File
//	_, err = r.API.Recipients.UpdateRecipient(r.Context(), …)
//	if err != nil && !form.Refused(err) {                   // Refused notes violations beside their fields, and conflicts
//		return err
//	}
//	if form.Bad() {                                         // nothing that was typed is lost
//		r.Status(http.StatusUnprocessableEntity)
//		return r.Render("edit", page{Form: form})
//	}
//
// In the template: {{template "faults" .Data.Form}} once at its top, then a line a field:
//
//	{{template "field" (field .Data.Form "http.url" "URL" "type" "url" "required" true "help" "Where events are posted to.")}}
//
// At the top a fault is called what its field is, which links to it; a fault of no field of the page is told in plain words, never
// by the API's path. A field that a template writes by hand notes its label: {{$fault := .Data.Form.Label "appliances" "Appliances"}}.
//
// Types: text, email, url, number, password, textarea, select, checkbox, checkboxes, file. Passwords are never echoed: "stored"
// true says that one is there. Begin a form for what exists with web.NewForm(map[string]string{…}) and form.Set for lists.
//
// # What must not be
//
// No inline script, style attribute or style element, no hx-on, no hx-vals="js:", no filters in hx-trigger (they need eval): the
// Content-Security-Policy refuses them all. No template.HTML, template.URL or template.JS of anything that an event, a receiver or a
// person wrote: everything of theirs goes through the templates' escaping as text, in no href but as a query value or path
// segment of ours. No call to another host. No colour as the only sign of anything.
//
// # A test
//
// Beside the area, from outside (package deliveries_test), over HTTP. internal/consoletest starts a console over services that the
// test makes, with the real guard of roles before them, and signs in as viewer, operator or admin:
//
//	h := consoletest.Start(t, consoletest.Options{Register: func(r grpc.ServiceRegistrar) {
//		outboundv1.RegisterDeliveryServiceServer(r, &fakeDeliveries{})
//	}})
//	page := h.As("viewer").Get("/deliveries")
//	answer := h.As("viewer").Post("/deliveries/retry", url.Values{"id": {"x"}}) // 403
//
// h.As("operator").Header.Set("HX-Request", "true") asks as htmx does. Consoles are started one after another (no t.Parallel): the gateway
// sets a global of its library. Put hostile text into every field of what a fake answers
// and see that the page shows it as text.
package console
