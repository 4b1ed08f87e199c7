package emailsender_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/services/emailsender"
)

// A token server that sends JSON as text, another spelling of the type and a life in fractions, and wants to know for whom the token is.
func TestMailsGoOutWithTheTokensOfUnusualServers(t *testing.T) {
	for name, refresh := range map[string]string{"client credentials": "", "a refresh token": "refresh-0"} {
		t.Run(name, func(t *testing.T) {
			srv, e, conf := relayByToken(t)
			asked := 0
			e.set(func() {
				e.answer = func(w http.ResponseWriter, q *http.Request) {
					asked++
					w.Header().Set("Content-Type", "text/plain; charset=utf-8")
					if q.PostFormValue("resource") != "https://mail.example.com/?a=1&b" || q.PostFormValue("refresh_token") != refresh {
						w.WriteHeader(http.StatusBadRequest)
						fmt.Fprint(w, `{"error":"invalid_target","error_description":"For whom?"}`)
						return
					}
					fmt.Fprint(w, "\ufeff"+`{"access_token":"token-1","token_type":"BEARER","expires_in":"3599.98"}`)
				}
			})
			conf.change(func(p *settings.SMTP) {
				p.OAuth2.RefreshToken = refresh
				p.OAuth2.Parameters = url.Values{"resource": {"https://mail.example.com/?a=1&b"}}
			})
			s := emailsender.NewSender(t, options(), conf)
			for range 3 {
				v, _ := try(t, s, deliveryTo(alice))
				want(t, v, delivery.Delivered, reasons.OK)
				srv.Cut()
			}
			if asked != 1 || srv.CountFor(alice) != 3 {
				t.Errorf("%d token requests for %d mails, want 1 for 3", asked, srv.CountFor(alice))
			}
			// Without the parameter it is another token that is asked for.
			conf.change(func(p *settings.SMTP) { p.OAuth2.Parameters = nil })
			v, _ := try(t, s, deliveryTo(alice))
			want(t, v, delivery.Retry, reasons.Auth)
			if !strings.Contains(v.Detail, "(invalid_target): check the parameters resource and audience; it says: For whom?") {
				t.Errorf("got %+v", v)
			}
			counts(t, srv, map[string]int{alice: 3})
		})
	}
}
