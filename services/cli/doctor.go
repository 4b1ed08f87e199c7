package cli

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// diagnosis is one run of `recipients doctor`.
type diagnosis struct {
	*app
	post, pin, yes bool
}

func (a *app) recipientsDoctor() *cobra.Command {
	e := &diagnosis{app: a}
	cmd := &cobra.Command{
		Use:   "doctor RECIPIENT",
		Short: "Diagnose connectivity to an HTTP recipient (DNS, TCP, TLS, HTTP)",
		Long: "An http-sender checks URL, DNS, egress rules, TCP and TLS in turn, and with --post sends an HTTP request.\n" +
			"The exit code is 1 if a check fails.",
		Example: "  outbound recipients doctor ticket-system --post\n  outbound recipients doctor ticket-system --pin",
		Args:    arguments("RECIPIENT"),
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			return e.examine(ctx, c, args[0])
		}),
	}
	cmd.Flags().BoolVar(&e.post, "post", false, "also send a test request and check the response status")
	cmd.Flags().BoolVar(&e.pin, "pin", false, "add the root certificate that the server presents to the recipient, after confirmation")
	cmd.Flags().BoolVar(&e.yes, "yes", false, "with --pin: do not ask for confirmation")
	return cmd
}

func (e *diagnosis) examine(ctx context.Context, c *client, id string) error {
	found, err := e.probe(ctx, c, id)
	if err != nil {
		return err
	}
	if e.pin && found.GetRootToPinPem() != "" {
		sure, err := e.ask(found)
		if err != nil {
			return err
		}
		if sure {
			want := &outboundv1.Recipient{Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{CaCertificatePem: found.GetRootToPinPem()}}}
			if err := c.patch(ctx, recipientPath(id), want, []string{"http.ca_certificate_pem"}, &outboundv1.Recipient{}); err != nil {
				return err
			}
			e.say("certificate added; running diagnostics again")
			if found, err = e.probe(ctx, c, id); err != nil {
				return err
			}
		}
	}
	if e.output != "table" {
		if err := e.show(found, nil); err != nil {
			return err
		}
	}
	if !found.GetHealthy() {
		steps := found.GetSteps()
		return fmt.Errorf("diagnostics of recipient %s failed at %s", id, steps[max(len(steps)-1, 0)].GetName())
	}
	return nil
}

// probe runs the diagnostics and prints the result.
func (e *diagnosis) probe(ctx context.Context, c *client, id string) (*outboundv1.DoctorRecipientResponse, error) {
	found := &outboundv1.DoctorRecipientResponse{}
	if err := c.call(ctx, http.MethodPost, recipientPath(id)+":doctor", &outboundv1.DoctorRecipientRequest{Post: e.post}, found); err != nil {
		return nil, err
	}
	if len(found.GetSteps()) == 0 {
		return nil, fmt.Errorf("diagnose recipient %s: the response holds no steps: check that the CLI and the server have the same version", id)
	}
	if e.output != "table" {
		return found, nil
	}
	return found, e.print(doctorTable(found))
}

func doctorTable(found *outboundv1.DoctorRecipientResponse) *table {
	t := &table{head: []string{"", "STEP", "MS", "RESULT"}}
	for _, s := range found.GetSteps() {
		mark := "✓"
		if !s.GetOk() {
			mark = "✗"
		}
		t.add(mark, s.GetName(), fmt.Sprintf("%.1f", s.GetTookMs()), s.GetDetail())
		if s.GetRemedy() != "" {
			t.add("", "", "", "→ "+s.GetRemedy())
		}
	}
	for i, p := range found.GetPresentedChain() {
		t.add("", fmt.Sprintf("cert %d", i+1), "", fmt.Sprintf("%s, issued by %s, expires %s", p.GetSubject(), p.GetIssuer(), clock(p.GetNotAfterTime())))
		t.add("", "", "", "SHA-256 "+p.GetFingerprintSha256())
	}
	if found.GetRootToPinPem() != "" {
		t.add("", "", "", "the last certificate is not trusted: use --pin to trust it for this recipient")
	}
	return t
}

// ask asks for confirmation to trust the presented root certificate, the last of the chain.
func (e *diagnosis) ask(found *outboundv1.DoctorRecipientResponse) (bool, error) {
	if e.yes {
		return true, nil
	}
	if e.output != "table" {
		return false, usage("--pin with -o %s needs --yes", e.output)
	}
	chain := found.GetPresentedChain()
	root := chain[max(len(chain)-1, 0)]
	e.say("Trust %s for this recipient?", root.GetSubject())
	e.say("Verify the fingerprint with the endpoint's owner: SHA-256 %s", root.GetFingerprintSha256())
	if _, err := fmt.Fprint(e.Out, "yes or no: "); err != nil {
		return false, err
	}
	line, err := bufio.NewReader(e.In).ReadString('\n')
	if err != nil && line == "" {
		return false, usage("--pin needs confirmation and there is no terminal: use --yes")
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "yes" || answer == "y", nil
}
