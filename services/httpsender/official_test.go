package httpsender_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/waittest"
)

const examples = "../../docs/examples"

// needs makes sure that programs and libraries are there: `make receivers` installs them where that is possible.
func needs(t *testing.T, there func() bool) {
	t.Helper()
	if there() {
		return
	}
	out, err := exec.CommandContext(t.Context(), "make", "-s", "-C", "../..", "receivers").CombinedOutput()
	if err != nil || !there() {
		t.Skipf("this machine has neither the programs that receivers are written in nor can `make receivers` install them: %v\n%s", err, out)
	}
}

func installed(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// program starts a receiver and returns what it prints.
func program(t *testing.T, secret []byte, command ...string) (lines chan string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "WEBHOOK_SECRET="+credential.FormatSigningSecret(secret))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines = make(chan string, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	return lines
}

// signed is a delivery of a form with names and values that receivers may take for something else.
func signed(url string, secret []byte) *delivery.Delivery {
	d := deliveryTo(url, func(r *recipient.Recipient) {
		r.HTTP.SigningSecrets = []recipient.SigningSecret{{ID: "ss-1", Key: secret}}
		r.HTTP.Auth = recipient.Auth{Header: "Authorization", Value: "Basic dTpw"}
	})
	d.Event.Variables = []event.Variable{{Name: "customer.name", Value: "Ada & Söhne = 100 %+"}, {Name: "display_name", Value: "Ada Lovelace"}}
	return d
}

// The official JavaScript libraries verify forms, if they are told that a body is no JSON.
func TestOfficialJavaScriptLibrariesVerifyForms(t *testing.T) {
	needs(t, func() bool {
		_, err := os.Stat(filepath.Join(examples, "javascript", "node_modules", "svix"))
		return err == nil && installed("node")
	})
	secret := bytes.Repeat([]byte{7}, 32)
	for _, library := range []string{"standardwebhooks", "svix"} {
		t.Run(library, func(t *testing.T) {
			t.Setenv("LIBRARY", library)
			lines := program(t, secret, "node", filepath.Join(examples, "javascript", "receiver.mjs"), "0")
			url, ok := strings.CutPrefix(<-lines, "listening on ")
			if !ok {
				t.Fatalf("it says %q", url)
			}
			if _, v := attempt(t, newSender(t), signed(url, secret)); v.Kind != delivery.Delivered {
				t.Fatalf("got %+v", v)
			}
			got := map[string]string{}
			if err := json.Unmarshal([]byte(<-lines), &got); err != nil || got["id"] != "appliance-1~e-1" ||
				got["customer.name"] != "Ada & Söhne = 100 %+" || got["display_name"] != "Ada Lovelace" {
				t.Errorf("it has %q, %v", got, err)
			}
			if o, v := attempt(t, newSender(t), signed(url, bytes.Repeat([]byte{8}, 32))); v.Kind != delivery.Retry || o.Status != 401 {
				t.Errorf("signed by another: %+v", v)
			}
		})
	}
}

// PHP writes dots and blanks in the names of $_POST as underscores; the names are had from the body.
func TestPHPReadsFormsByTheirNames(t *testing.T) {
	needs(t, func() bool { return installed("php") })
	secret := bytes.Repeat([]byte{7}, 32)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	program(t, secret, "php", "-S", address, filepath.Join(examples, "receiver.php"))
	waittest.Until(t, "PHP listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	o, v := attempt(t, newSender(t), signed("http://"+address+"/hook", secret))
	if v.Kind != delivery.Delivered {
		t.Fatalf("got %+v %s", v, o.Excerpt)
	}
	var got struct {
		Variables, Post map[string]string
		Authorization   string
	}
	if err := json.Unmarshal(o.Excerpt, &got); err != nil {
		t.Fatalf("%v: %s", err, o.Excerpt)
	}
	const customer = "Ada & Söhne = 100 %+"
	if got.Variables["customer.name"] != customer || got.Variables["event"] != "support_conference_member_added" {
		t.Errorf("by their own names: %q", got.Variables)
	}
	if _, dotted := got.Post["customer.name"]; dotted || got.Post["customer_name"] != customer || got.Post["display_name"] != "Ada Lovelace" {
		t.Errorf("in $_POST: %q", got.Post)
	}
	// What it repeats of a secret is masked.
	if got.Authorization != "[redacted]" {
		t.Errorf("HTTP_AUTHORIZATION is %q", got.Authorization)
	}
}
