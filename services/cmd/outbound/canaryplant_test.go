package main_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/outbound-events/outbound/pkg/certtest"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// plant puts a canary into every secret field.
func (p *planter) plant() {
	p.t.Helper()
	receiver := p.failing()
	for kind, auth := range map[string]string{
		"basic":  fmt.Sprintf(`"basic":{"username":"u","password":%q}`, p.canary("outbound.v1.BasicAuth.password")),
		"bearer": fmt.Sprintf(`"bearer":{"token":%q}`, p.canary("outbound.v1.BearerAuth.token")),
		"apikey": fmt.Sprintf(`"apiKey":{"header":"X-Api-Key","value":%q}`, p.canary("outbound.v1.ApiKeyAuth.value")),
		"oauth2": fmt.Sprintf(`"oauth2":{"tokenUrl":%q,"clientId":"u","clientSecret":%q}`, receiver+"/token",
			p.canary("outbound.v1.OAuth2ClientCredentials.client_secret")),
	} {
		p.recipient(kind, receiver, `"auth":{`+auth+`}`)
	}
	certificate, key := p.pair()
	p.recipient("certificate", strings.Replace(receiver, "http:", "https:", 1), fmt.Sprintf(
		`"auth":{"clientCertificate":{"certificatePem":%q,"privateKeyPem":%q}}`, certificate, key))
	signing := base64.StdEncoding.EncodeToString([]byte("a-signing-key-of-32-bytes-canary"))
	p.remember("outbound.v1.SigningSecret.secret", signing)
	made := p.recipient("signing", receiver, fmt.Sprintf(`"signingSecrets":[{"secret":"whsec_%s"},{},{"kind":"ED25519"}]`, signing))
	for _, found := range regexp.MustCompile(`"secret":\s*"(?:whsec|whsk)_([^"]+)"`).FindAllStringSubmatch(made, -1) {
		p.remember("outbound.v1.SigningSecret.secret", found[1])
	}
	if n := len(p.planted["outbound.v1.SigningSecret.secret"]); n != 3 {
		p.t.Errorf("%d signing secrets are known, want the one that was set and two that were made: %s", n, made)
	}
	rotated := base64.StdEncoding.EncodeToString([]byte("a-rotated-key-of-32-bytes-canary"))
	p.remember("outbound.v1.RotateSigningSecretRequest.secret", rotated)
	p.rest(http.MethodPost, "/v1/recipients/"+get[struct{ ID string }](p.t, made).ID+":rotateSecret",
		fmt.Sprintf(`{"kind":"HMAC_SHA256","secret":"whsec_%s"}`, rotated))
	p.relay()
	p.people()
}

// relay gives the relay a password, and then an account of OAuth 2.0 in its place.
func (p *planter) relay() {
	p.t.Helper()
	const relay = `"host":"127.0.0.1","port":9,"encryption":"TLS","fromName":"` + visible + `","fromAddress":"o@example.com","username":"u",`
	p.rest(http.MethodPatch, "/v1/settings/smtp",
		fmt.Sprintf(`{%s"auth":"PLAIN","password":%q}`, relay, p.canary("outbound.v1.SmtpSettings.password")))
	refresh := p.canary("outbound.v1.RelayOAuth2.refresh_token")
	p.rest(http.MethodPatch, "/v1/settings/smtp", fmt.Sprintf(
		`{%s"auth":"XOAUTH2","oauth2":{"tokenUrl":"https://login.example.com/token","clientId":"u","clientSecret":%q,"refreshToken":%q}}`,
		relay, p.canary("outbound.v1.RelayOAuth2.client_secret"), refresh))
	settings, done := p.service()
	defer done()
	ctx, cancel := waittest.Context(p.t.Context())
	defer cancel()
	sum := sha256.Sum256([]byte(refresh))
	if _, err := settings.KeepRelayToken(ctx, &outboundv1.KeepRelayTokenRequest{TokenUrl: "https://login.example.com/token", ClientId: "u",
		ReplacedSha256: sum[:], RefreshToken: p.canary("outbound.v1.KeepRelayTokenRequest.refresh_token")}); err != nil {
		p.t.Fatal(err)
	}
}

// people makes users, tokens and appliances, and has a user change the password.
func (p *planter) people() {
	p.t.Helper()
	first, second := p.canary("outbound.v1.User.password"), p.canary("outbound.v1.ChangePasswordRequest.new_password")
	p.remember("outbound.v1.ChangePasswordRequest.current_password", first)
	p.remember("outbound.v1.SignInRequest.password", second)
	p.rest(http.MethodPost, "/v1/users", fmt.Sprintf(`{"name":"ada","displayName":%q,"role":"ADMIN","password":%q}`, visible, first))
	p.signIn(first)
	p.form("/account/password", url.Values{"currentPassword": {first}, "newPassword": {second}, "repeated": {second}})
	p.form("/sign-in", url.Values{"name": {"ada"}, "password": {second + "-wrong"}})
	p.signIn(second)
	token := get[struct{ Secret string }](p.t, p.rest(http.MethodPost, "/v1/tokens", `{"displayName":"`+visible+`","role":"ADMIN"}`)).Secret
	p.remember("outbound.v1.CreateTokenResponse.secret", token)
	for _, answer := range []string{p.rest(http.MethodPost, "/v1/appliances", `{"id":"a-1","displayName":"`+visible+`"}`),
		p.rest(http.MethodPost, "/v1/appliances/a-1:rotate", "{}")} {
		c := get[struct{ Password, Token string }](p.t, answer)
		p.remember("outbound.v1.ApplianceCredentials.password", c.Password)
		p.remember("outbound.v1.ApplianceCredentials.token", c.Token)
	}
}

func (p *planter) signIn(password string) {
	p.t.Helper()
	header := p.form("/sign-in", url.Values{"name": {"ada"}, "password": {password}})
	all := header.Values("Set-Cookie") // the last one: the one before may end a session
	if len(all) == 0 || header.Get("Location") == "" {
		p.t.Fatalf("signed in without a session: %v", header)
	}
	p.cookie, _, _ = strings.Cut(all[len(all)-1], ";")
}

// form posts a form as a browser does.
func (p *planter) form(path string, values url.Values) http.Header {
	p.t.Helper()
	_, header, _ := p.http(http.MethodPost, path, http.Header{"Cookie": {p.cookie}, "Content-Type": {"application/x-www-form-urlencoded"}},
		values.Encode())
	return header
}

// recipient makes one and returns what was answered.
func (p *planter) recipient(name, to, more string) string {
	p.t.Helper()
	answer := p.rest(http.MethodPost, "/v1/recipients", fmt.Sprintf(
		`{"displayName":"%s %s","eventTypes":["support_conference_end"],"http":{"url":"%s/%s","timeout":"5s",%s}}`, name, visible, to, name, more))
	p.recipients = append(p.recipients, get[struct{ ID string }](p.t, answer).ID)
	return answer
}

// failing is a receiver, and a token endpoint, that refuses whatever it is sent.
func (p *planter) failing() string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		http.Error(w, "no, thank you", http.StatusInternalServerError)
	}))
	p.t.Cleanup(s.Close)
	return s.URL
}

// pair is a client certificate. The canary is a line of its key.
func (p *planter) pair() (certificate, key string) {
	p.t.Helper()
	pair := certtest.SelfSigned(p.t, nil)
	p.remember("outbound.v1.ClientCertificate.private_key_pem", strings.Split(pair.KeyPEM, "\n")[1])
	return pair.PEM, pair.KeyPEM
}

// exercise has events delivered, and changes and asks about everything that has a secret.
func (p *planter) exercise() {
	p.t.Helper()
	p.event = get[struct{ EventID string }](p.t, p.rest(http.MethodPost, "/v1/events?appliance_id=a-1", fmt.Sprintf(
		`{"specversion":"1.0","id":%q,"source":"x","type":"support_conference_end","time":%q,"data":{"external_key":%q}}`, "e-"+visible,
		time.Now().UTC().Format(time.RFC3339), visible))).EventID
	for _, id := range p.recipients {
		waittest.NoError(p.t, "an attempt at "+id, func() error {
			d := get[struct{ Deliveries []struct{ Attempts int } }](p.t, p.rest(http.MethodGet, "/v1/deliveries?recipient_id="+id, ""))
			if len(d.Deliveries) == 0 || d.Deliveries[0].Attempts == 0 {
				return fmt.Errorf("the deliveries are %+v", d)
			}
			return nil
		})
		p.rest(http.MethodPatch, "/v1/recipients/"+id+"?updateMask=http.retryInterval", `{"http":{"retryInterval":"90s"}}`)
	}
	for _, bad := range []string{`{"displayName":"x","http":{"url":"no","auth":{"basic":{"username":"u","password":%q}}}}`,
		`{"http":{"auth":{"bearer":{"token":%q,"nothing":1}}}}`} {
		body := fmt.Sprintf(bad, p.canary("outbound.v1.BasicAuth.password"))
		if code, _, answer := p.http(http.MethodPost, "/v1/recipients", p.admin(), body); code != http.StatusBadRequest {
			p.t.Errorf("a recipient with faults: %d %s", code, answer)
		} else {
			p.pages++
		}
	}
}

func (p *planter) admin() http.Header {
	return http.Header{"Authorization": {"Bearer " + strings.TrimSpace(p.h.env["OUTBOUND_TOKEN"])}}
}

// places are what the product has written and answers now, by where that is.
func (p *planter) places() map[string][][]byte {
	p.t.Helper()
	out := map[string][][]byte{"REST": p.reads(), "probes": p.probes(), "pages": p.crawl(), "command line": p.commands()}
	_, _, metrics := p.http(http.MethodGet, "/metrics", http.Header{}, "")
	out["metrics"] = [][]byte{[]byte(metrics)}
	backup := filepath.Join(p.h.dir, "all.backup")
	p.h.must("backup", "-f", backup, "--with", "queue,history")
	for place, root := range map[string]string{"backup": backup, "files": filepath.Join(p.h.dir, "data")} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			raw, err := os.ReadFile(path)
			out[place] = append(out[place], raw)
			return err
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
	return out
}

// reads are the answers of every GET route of the contract.
func (p *planter) reads() (all [][]byte) {
	p.t.Helper()
	var paths []string
	protoregistry.GlobalFiles.RangeFilesByPackage("outbound.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				m := f.Services().Get(i).Methods().Get(j)
				rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
				if at := rule.GetGet(); at != "" && !m.IsStreamingServer() {
					paths = append(paths, at)
				}
			}
		}
		return true
	})
	if len(paths) < 15 {
		p.t.Fatalf("%d routes are read: that cannot be all", len(paths))
	}
	for _, path := range paths {
		for _, id := range p.recipients {
			name := map[bool]string{true: id, false: "a-1"}[strings.HasPrefix(path, "/v1/recipients")]
			at := strings.NewReplacer("{recipient_id}", id, "{event_id}", p.event, "{id}", name, "{code_name}", "x").Replace(path)
			_, _, answer := p.http(http.MethodGet, at, p.admin(), "")
			if all = append(all, []byte(answer)); at == path {
				break // it names nothing
			}
		}
	}
	return all
}

// probes are the answers to tests and questions about each recipient.
func (p *planter) probes() (all [][]byte) {
	p.t.Helper()
	for _, id := range p.recipients {
		for _, verb := range []string{"test", "doctor", "preview"} {
			_, _, answer := p.http(http.MethodPost, "/v1/recipients/"+id+":"+verb, p.admin(), "{}")
			all = append(all, []byte(answer))
		}
		_, _, answer := p.http(http.MethodGet, "/v1/recipients/"+id, p.admin(), "")
		all = append(all, []byte(answer))
	}
	_, _, answer := p.http(http.MethodPost, "/v1/settings/smtp:test", p.admin(), `{"addresses":["a@example.com"]}`)
	return append(all, []byte(answer))
}

// crawl reads the pages of the console, as an administrator, from link to link.
func (p *planter) crawl() (all [][]byte) {
	p.t.Helper()
	link := regexp.MustCompile(`(?:href|hx-get|action)="(/[^"#]*)"`)
	queue, known := []string{"/"}, map[string]bool{"/": true}
	kinds := map[string]int{}
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		code, _, page := p.http(http.MethodGet, path, http.Header{"Cookie": {p.cookie}, "Accept": {"text/html"}}, "")
		if code >= http.StatusInternalServerError {
			p.t.Errorf("GET %s: %d", path, code)
		}
		all = append(all, []byte(page))
		for _, m := range link.FindAllStringSubmatch(page, -1) {
			next := strings.ReplaceAll(m[1], "&amp;", "&")
			// Each page is read with a few of its parameters: their combinations have no end. Streams do not end either.
			kind, _, _ := strings.Cut(next, "?")
			if known[next] || kinds[kind] >= 3 || strings.HasPrefix(kind, "/assets/") || strings.HasPrefix(kind, "/v1/") ||
				slices.ContainsFunc([]string{"/sign-out", "stream", "tail", "live"}, func(s string) bool { return strings.Contains(kind, s) }) {
				continue
			}
			known[next] = true
			kinds[kind]++
			queue = append(queue, next)
		}
	}
	if p.t.Logf("%d pages", len(all)); len(all) < 40 {
		p.t.Errorf("%d pages were read: that cannot be all", len(all))
	}
	return all
}

// commands are what the command line prints.
func (p *planter) commands() (all [][]byte) {
	p.t.Helper()
	for _, args := range [][]string{{"export"}, {"export", "-o", "json"}, {"recipients", "list", "-o", "json"}, {"revisions", "list"},
		{"revisions", "list", "-o", "json"}, {"status"}, {"status", "-o", "json"}, {"users", "list", "-o", "json"},
		{"tokens", "list", "-o", "json"}, {"deliveries", "list", "-o", "json"}, {"events", "get", p.event, "-o", "json"}} {
		all = append(all, []byte(p.h.must(args...)))
	}
	for _, id := range p.recipients {
		for _, args := range [][]string{{"recipients", "get", id, "-o", "yaml"}, {"revisions", "show", "recipients/" + id, "latest"},
			{"deliveries", "get", id + "/" + p.event}, {"recipients", "doctor", id}, {"recipients", "preview", id}} {
			_, out, errors := p.h.run("", args...)
			all = append(all, []byte(out), []byte(errors))
		}
	}
	return all
}
