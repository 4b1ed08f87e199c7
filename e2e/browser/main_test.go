package browser_test

import (
	"net/http"
	"os"
	"regexp"
	"testing"

	"github.com/outbound-events/outbound/e2e/browser"
	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m, "outbound")) }

// The people of the tests, and their password.
const (
	admin    = "ada"
	operator = "olga"
	viewer   = "victor"
	password = "correct horse battery"
)

// The types of the events. The stories run beside each other, so each has one of its own.
const (
	begun    = "support_conference_begin"
	ended    = "support_conference_end"
	survey   = "support_conference_customer_exit_survey_completed"
	joined   = "support_conference_member_added"
	departed = "support_conference_member_departed"
)

// place is what all tests share: one Outbound, one browser, one receiver and one relay.
type place struct {
	system   *harness.System
	browser  *browser.Browser
	receiver *harness.Receiver
	ca       *smtptest.CA
	relay    *smtptest.Server
}

func open(t *testing.T) *place {
	ca := smtptest.NewCA(t)
	return &place{
		system: harness.Start(t, harness.AllInOne), browser: browser.Start(t), receiver: harness.NewReceiver(t), ca: ca,
		relay: smtptest.Start(t, smtptest.Options{}),
	}
}

// come opens a page as somebody.
func (p *place) come(t *testing.T, name string) *browser.Page {
	t.Helper()
	return signIn(p.browser.Person(t, p.system.REST.Base).Page(t), name)
}

// signIn signs somebody in, again if so many have signed in from this address that it has to wait.
func signIn(page *browser.Page, name string) *browser.Page {
	page.Allow("status of 429")
	for {
		page.Open("/sign-in").Fill("Name", name).Fill("Password", password).Click("button", "Sign in")
		page.Await("an answer", `location.pathname === "/" || document.body.innerText.includes("Too many sign-in attempts")`)
		if page.Number(`location.pathname === "/" ? 1 : 0`) == 1 {
			return page.AwaitAt("/")
		}
	}
}

// setupLink is what the first start writes to whoever started it.
func (p *place) setupLink(t *testing.T) string {
	t.Helper()
	pattern := regexp.MustCompile(`(?m)^\s*http://\S+(/setup\?code=\S+)$`)
	var link []string
	waittest.NoError(t, "the link to make the first admin", func() error {
		if link = pattern.FindStringSubmatch(p.system.Logs()); link == nil {
			return errNothing
		}
		return nil
	})
	return link[1]
}

// TestConsole is the console from its first start on. What comes first must have worked for the rest to make sense.
func TestConsole(t *testing.T) {
	p := open(t)
	if !t.Run("the first admin comes by the link and is led to the first delivery", p.firstVisit) {
		return
	}
	t.Run("empty pages offer the next step to all", p.emptyPages)
	p.people(t)
	t.Run("stories", func(t *testing.T) {
		for name, story := range map[string]func(*testing.T){
			"HTTP, from nothing to a delivery and through an outage": p.httpStory,
			"email, from the relay to the mailbox":                   p.mailStory,
			"replays, from the filter to the receiver":               p.replayStory,
			"pauses, by the breaker and by hand":                     p.pauseStory,
			"times are in the zone that is chosen":                   p.timesStory,
			"plots lead to the deliveries that they count":           p.plotsStory,
			"hostile texts are texts":                                p.hostileTexts,
			"all goes by keyboard":                                   p.byKeyboard,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				story(t)
			})
		}
	})
	if t.Failed() {
		return
	}
	t.Run("a recipient from a preset, and its maintenance", p.presetStory)
	t.Run("the checks find what they are for", p.checksFind)
	t.Run("axe-core finds nothing grave, and nothing is too wide", p.openToAll)
	t.Run("viewers find nothing that changes anything", p.viewersChangeNothing)
	t.Run("the live tail keeps up", p.liveTail)
}

// people makes the users that the rest needs; the first admin is there.
func (p *place) people(t *testing.T) {
	t.Helper()
	for name, role := range map[string]string{operator: "OPERATOR", viewer: "VIEWER"} {
		p.system.REST.Do(t, http.MethodPost, "/v1/users", harness.Object{"name": name, "role": role, "password": password})
	}
}
