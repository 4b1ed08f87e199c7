package httpsender_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// doctor asks the service that runs, once it listens.
func doctor(t *testing.T, conn *bus.Conn, q control.DoctorQuestion) egress.Report {
	t.Helper()
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	q.Recipient = "crm"
	var report egress.Report
	waittest.NoError(t, "the service to listen", func() error {
		var err error
		report, err = control.New(conn).AskDoctor(ctx, q)
		if err != nil && !strings.Contains(err.Error(), control.ErrNobody.Error()) {
			t.Fatal(err)
		}
		return err
	})
	return report
}

func TestDoctorPostsATestEventAndJudgesTheAnswer(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		post   bool
		step   string
		ok     bool
	}{
		{"not asked to post", http.StatusInternalServerError, false, egress.StepTLS, true},
		{"delivered", http.StatusOK, true, egress.StepStatus, true},
		{"another status", http.StatusAccepted, true, egress.StepStatus, false},
		{"redirect", http.StatusFound, true, egress.StepStatus, false},
		{"error", http.StatusInternalServerError, true, egress.StepStatus, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := bustest.Start(t).Conn()
			tests := make(chan string, 10)
			r := newReceiver(t, nil, func(w http.ResponseWriter, q *http.Request) {
				tests <- q.Header.Get("Outbound-Test")
				w.WriteHeader(c.status)
			})
			runService(t, conn, r.URL+"/hook?token=canary")
			report := doctor(t, conn, control.DoctorQuestion{Post: c.post})
			last := report.Steps[len(report.Steps)-1]
			if last.Name != c.step || last.OK != c.ok || last.Detail == "" || !last.OK && last.Remedy == "" {
				t.Errorf("the walk ended with %+v", last)
			}
			for _, s := range report.Steps {
				if strings.Contains(s.Detail+s.Remedy, "canary") {
					t.Errorf("step %s tells the query of the URL: %+v", s.Name, s)
				}
			}
			if n := r.requests.Load(); (n == 1) != c.post || c.post && <-tests != "1" {
				t.Errorf("%d requests arrived, or one not marked as a test", n)
			}
		})
	}
}

func TestDoctorNamesTheFaultOfTLS(t *testing.T) {
	conn := bustest.Start(t).Conn()
	ours := newAuthority(t, "our root")
	leaf := ours.issue(t, nil)
	leaf.Certificate = append(leaf.Certificate, ours.cert.Raw)
	r := newReceiver(t, &tls.Config{Certificates: []tls.Certificate{leaf}}, func(http.ResponseWriter, *http.Request) {})
	runService(t, conn, r.URL)
	report := doctor(t, conn, control.DoctorQuestion{Post: true})
	last := report.Steps[len(report.Steps)-1]
	if last.Name != egress.StepTLS || last.OK || !strings.Contains(last.Detail, `unknown authority ("our root")`) {
		t.Errorf("the walk ended with %+v", last)
	}
	if len(report.Chain) != 2 || report.RootToPin != ours.pem {
		t.Errorf("showed %d certificates and offered %q", len(report.Chain), report.RootToPin)
	}
	if n := r.requests.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

func TestDoctorNamesTheRemedyOfCommonServers(t *testing.T) {
	conn := bustest.Start(t).Conn()
	answer := make(chan func(http.ResponseWriter), 1)
	r := newReceiver(t, nil, func(w http.ResponseWriter, _ *http.Request) { (<-answer)(w) })
	runService(t, conn, r.URL+"/hook")
	for _, c := range []struct {
		status       int
		body, remedy string
	}{
		{413, "<h1>413 Request Entity Too Large</h1>", "client_max_body_size"},
		{400, "<center>No required SSL certificate was sent</center><hr><center>nginx</center>", "set http.auth.clientCertificate"},
		{400, "<center>The SSL certificate error</center>", "trusts the issuer of http.auth.clientCertificate"},
		{400, "<center>The plain HTTP request was sent to HTTPS port</center>", "use https://"},
		{400, "Reason: You're speaking plain HTTP to an SSL-enabled server port.", "use https://"},
		{400, "missing field", "check http.format"},
		{415, "", "check http.format"},
	} {
		answer <- func(w http.ResponseWriter) { http.Error(w, c.body, c.status) }
		report := doctor(t, conn, control.DoctorQuestion{Post: true})
		if last := report.Steps[len(report.Steps)-1]; last.OK || !strings.Contains(last.Remedy, c.remedy) {
			t.Errorf("%d %s: the remedy is %q, want %q", c.status, c.body, last.Remedy, c.remedy)
		}
	}
}
