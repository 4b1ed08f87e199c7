// Package console is the HTTP service: the REST API, its OpenAPI document, the health of the process, and the web console. It stores
// nothing but sessions and makes no decisions: it forwards the tokens of REST clients to the services, and its pages call the same
// services as the signed-in user. The console can do nothing that the API cannot.
//
// # Where things are
//
//   - service.go, handler.go: wiring and REST. pages.go: the list of areas.
//   - internal/web: the framework of the pages: Site and Area (routes), Request (user, clients, responses), Form, Stream, template
//     functions, the layout and the partials (templates/), the stylesheet and the scripts (assets/).
//   - internal/pages/<area>: the pages of one part of the console, e.g. account, with their templates. An area imports web and
//     the API, but no other area. Use the account area as an example.
//
// # How to add an area
//
// Create internal/pages/<area>/<area>.go with embedded templates, and add a line to pages.go:
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
//		a.GET("/deliveries", list)                                      // all signed-in users
//		a.Page("/settings/users", rpc.RoleAdmin, users)                 // a page for admins
//		a.POST("/deliveries/retry", rpc.RoleOperator, retry)            // an action for operators and admins
//		return nil
//	}
//
// Paths are patterns of http.ServeMux: "/events/{id}" with r.PathValue("id"). The path "/" is "/{$}". Forms support only GET and POST, so
// every change is a POST. The site protects every POST against CSRF.
//
// # A handler
//
// A handler gets a *web.Request, which embeds the *http.Request, and returns an error:
//
//		func list(r *web.Request) error {
//			answer, err := r.API.Deliveries.ListDeliveries(r.Context(), &outboundv1.ListDeliveriesRequest{PageToken: r.URL.Query().Get("page")})
//			if err != nil {
//				return err // an error page, or a notice for an htmx request; the text is from the service
//			}
//			return r.Render("list", listPage{Deliveries: answer.GetDeliveries()})
//		}
//
//	  - r.API has a client of each service that acts as the signed-in user. The services check the role; pages only hide what a role
//	    may not do: {{if .Me.Operates}} … {{end}}, {{if .Me.Admins}} … {{end}} in templates, r.Me in code.
//	  - r.Render("list", data) renders templates/list.html, or its block "content" for htmx.
//	    r.RenderPart("list", "rows", data) renders one block for htmx.
//	  - r.Redirect("/deliveries") after a successful POST; r.Flash(web.Good, "Saved.") before it shows a notice there.
//	    For htmx a redirect is an HX-Redirect, and RenderPart includes notices.
//	  - r.Status(http.StatusUnprocessableEntity) before rendering a form with faults: htmx swaps 422.
//	  - return web.Fail(http.StatusNotFound, "Title", "Text.") for errors of the page itself. Any other error is logged and shown
//	    as "Something went wrong", without details.
//	  - r.Stream(func(s *web.Stream) error { … s.Send("rows", "list", "rows", data) … }) sends server-sent events, with
//	    keep-alives. It ends with the service and the session. Loop until r.Context() ends. A browser opens six connections per host, so
//	    a page has at most one stream. In the page:
//	    <div hx-ext="sse" sse-connect="/deliveries/tail"><table><tbody sse-swap="rows" hx-swap="afterbegin"></tbody></table></div>
//
// # A template
//
// A file templates/<page>.html defines blocks: "content" is the page, "title" its title. Files with the prefix _ are parts for all pages
// of the area. Dot is a web.View: .Data is the data of the handler, .Me the signed-in user, .Path, .Query, .Now.
//
//	{{define "title"}}Deliveries{{end}}
//	{{define "content"}}<h1>Deliveries</h1> … {{end}}
//
// Functions: ago, until (a countdown) and clock for times (*timestamppb.Timestamp or time.Time), duration (*durationpb.Duration
// or time.Duration, in words), state (a delivery's state as a chip), chip "bad" "text" (good, warn, bad, note, quiet), words
// (NO_ANSWER → no answer), bytes, count, plural 2 "event" "events", short 40 .Text, link "/deliveries" "recipientId" .ID "state" .State
// (an address with a query without empty values), asset "x.js", field and fieldID (below), dict, list, join, lower.
//
// Partials: {{template "pager" (dict "next" "/deliveries?page=x" "first" "")}},
// {{template "empty" (dict "title" "No deliveries yet" "text" "…" "href" "/recipients/new" "action" "Add a recipient")}},
// {{template "confirm" (dict "id" "del" "label" "Delete" "title" "Delete CRM?" "text" "…" "action" "/recipients/crm/delete"
// "fields" (dict "etag" .Etag) "danger" true)}}
// (a button with a confirmation dialog), {{template "copy" (dict "text" .ID "label" "Copy ID")}}.
//
// Styles: .bar (a title with actions), .card, .grid (of fields), .table around a <table> (class stack shows rows as
// cards on narrow screens; give cells data-label), .num, dl.facts, .actions, button.primary, button.danger, .button, .quiet, .help,
// .mono, .sr (for screen
// readers only). Use the colour properties of app.css, which support light and dark.
//
// Put the styles and scripts of an area into internal/web/assets/<area>.css and .js and load them:
//
//	{{define "styles"}}<link rel="stylesheet" href="{{asset "deliveries.css"}}">{{end}}
//	{{define "scripts"}}<script src="{{asset "deliveries.js"}}" defer></script>{{end}}
//
// # A form
//
// Fields have the JSON names of the API, e.g. "http.retryInterval", so that google.rpc violations map to them.
//
//	form, err := r.Input()                                  // URL-encoded or multipart
//	recipient := read(form)                                 // form.Get, form.Raw, form.On, form.All, form.Lines, form.File
//	_, err = r.API.Recipients.UpdateRecipient(r.Context(), …)
//	if err != nil && !form.Refused(err) {                   // Refused adds violations and conflicts to the form
//		return err
//	}
//	if form.Bad() {                                         // keeps the input
//		r.Status(http.StatusUnprocessableEntity)
//		return r.Render("edit", page{Form: form})
//	}
//
// In the template, {{template "faults" .Data.Form}} at the top of the form, then one line per field:
//
//	{{template "field" (field .Data.Form "http.url" "URL" "type" "url" "required" true "help" "Events are POSTed to this URL.")}}
//
// The summary at the top shows faults with the labels of their fields and links to them. Faults of other fields are shown in plain words,
// not as API paths. A field that is not rendered with "field" registers its label: {{$fault := .Data.Form.Label "appliances"
// "Appliances"}}.
//
// Types: text, email, url, number, password, textarea, select, checkbox, checkboxes, file. Passwords are never shown: "stored"
// true marks a stored one. Create a form for stored values with web.NewForm(map[string]string{…}) and form.Set for lists.
//
// # Restrictions
//
// The Content-Security-Policy refuses inline scripts, style attributes and elements, hx-on, hx-vals="js:" and filters in hx-trigger (they
// need eval). Do not use template.HTML, template.URL or template.JS for data of events, recipients or users: it must be escaped as text,
// and may be part of an href only as a query value or path segment. Do not call other hosts. Do not use colour as the only mark.
//
// # Tests
//
// Test an area through HTTP, in an external test package (deliveries_test). internal/consoletest starts a console with fake services of the
// test behind the real role checks, and signs in as viewer, operator or admin:
//
//	h := consoletest.Start(t, consoletest.Options{Register: func(r grpc.ServiceRegistrar) {
//		outboundv1.RegisterDeliveryServiceServer(r, &fakeDeliveries{})
//	}})
//	page := h.As("viewer").Get("/deliveries")
//	answer := h.As("viewer").Post("/deliveries/retry", url.Values{"id": {"x"}}) // 403
//
// h.As("operator").Header.Set("HX-Request", "true") makes an htmx request. Do not use t.Parallel: the gateway sets a global of its
// library. Put hostile text into every field of a fake response and verify that the page shows it as text.
package console
