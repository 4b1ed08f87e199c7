package recipients

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/pkg/certificate"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// diagnosis is one run of `recipients doctor`.
type diagnosis struct {
	*command.Env
	post, pin, yes bool
}

func doctorCommand(env *command.Env) *cobra.Command {
	e := &diagnosis{Env: env}
	cmd := &cobra.Command{
		Use:   "doctor RECIPIENT",
		Short: "Diagnose connectivity to an HTTP recipient (DNS, TCP, TLS, HTTP)",
		Long: "An http-sender checks URL, DNS, egress rules, TCP and TLS in turn, and with --post sends an HTTP request.\n" +
			"The exit code is 1 if a check fails.",
		Example: "  outbound recipients doctor ticket-system --post\n  outbound recipients doctor ticket-system --pin",
		Args:    command.Arguments("RECIPIENT"),
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			return e.examine(ctx, c, args[0])
		}),
	}
	cmd.Flags().BoolVar(&e.post, "post", false, "also send a test request and check the response status")
	cmd.Flags().BoolVar(&e.pin, "pin", false, "add the certificate that would make the server trusted to the recipient, after confirmation")
	cmd.Flags().BoolVar(&e.yes, "yes", false, "with --pin: do not ask for confirmation")
	return cmd
}

func (e *diagnosis) examine(ctx context.Context, c *client.Client, id string) error {
	if e.pin && !e.yes && e.Structured() {
		return exit.Usagef("--pin with -o %s needs --yes", e.Format)
	}
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
			if err := addCertificate(ctx, c, id, found.GetRootToPinPem()); err != nil {
				return err
			}
			e.Say("certificate added; running diagnostics again")
			if found, err = e.probe(ctx, c, id); err != nil {
				return err
			}
		}
	}
	if e.Structured() {
		if err := e.Show(found, nil); err != nil {
			return err
		}
	}
	if !found.GetHealthy() {
		steps := found.GetSteps()
		return fmt.Errorf("diagnostics of recipient %s failed at %s", id, steps[max(len(steps)-1, 0)].GetName())
	}
	return nil
}

// addCertificate adds a certificate to those of a recipient, which stay.
func addCertificate(ctx context.Context, c *client.Client, id, pem string) error {
	stored := &outboundv1.Recipient{}
	if err := c.Call(ctx, http.MethodGet, client.RecipientPath(id), nil, stored); err != nil {
		return err
	}
	if before := strings.TrimSpace(stored.GetHttp().GetCaCertificatePem()); before != "" {
		pem = before + "\n" + pem
	}
	want := &outboundv1.Recipient{Etag: stored.GetEtag(),
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{CaCertificatePem: pem}}}
	return c.Patch(ctx, client.RecipientPath(id), want, []string{"http.ca_certificate_pem"}, &outboundv1.Recipient{})
}

// toPin is the certificate of the chain that is offered for pinning: the server's own, or the root, which is the last one.
func toPin(found *outboundv1.DoctorRecipientResponse) *outboundv1.CertificateInfo {
	chain := found.GetPresentedChain()
	all, err := certificate.Parse(found.GetRootToPinPem())
	for _, p := range chain {
		if err == nil && p.GetFingerprintSha256() == certificate.Fingerprint(all[0]) {
			return p
		}
	}
	if len(chain) == 0 {
		return nil
	}
	return chain[len(chain)-1]
}

// probe asks for a probe of the connection and prints its steps.
func (e *diagnosis) probe(ctx context.Context, c *client.Client, id string) (*outboundv1.DoctorRecipientResponse, error) {
	found := &outboundv1.DoctorRecipientResponse{}
	if err := c.Call(ctx, http.MethodPost, client.RecipientPath(id)+":doctor", &outboundv1.DoctorRecipientRequest{Post: e.post},
		found); err != nil {
		return nil, err
	}
	if len(found.GetSteps()) == 0 {
		return nil, fmt.Errorf("diagnose recipient %s: the response holds no steps: check that the CLI and the server have the same version", id)
	}
	if e.Structured() {
		return found, nil
	}
	return found, e.Print(doctorTable(found))
}

func doctorTable(found *outboundv1.DoctorRecipientResponse) *output.Table {
	t := &output.Table{Head: []string{"", "STEP", "MS", "RESULT"}}
	for _, s := range found.GetSteps() {
		mark := "✓"
		if !s.GetOk() {
			mark = "✗"
		}
		t.Add(mark, s.GetName(), fmt.Sprintf("%.1f", s.GetTookMs()), s.GetDetail())
		if s.GetRemedy() != "" {
			t.Add("", "", "", "→ "+s.GetRemedy())
		}
	}
	for i, p := range found.GetPresentedChain() {
		t.Add("", fmt.Sprintf("cert %d", i+1), "", fmt.Sprintf("%s, issued by %s, expires %s", p.GetSubject(), p.GetIssuer(),
			output.Clock(p.GetNotAfterTime())))
		t.Add("", "", "", "SHA-256 "+p.GetFingerprintSha256())
	}
	if found.GetRootToPinPem() != "" {
		which := "the last certificate"
		if p := toPin(found); p.GetPinned() {
			which = "the server's own certificate, which is no CA's,"
		}
		t.Add("", "", "", which+" is not trusted: use --pin to trust it for this recipient")
	}
	return t
}

// ask asks the user to trust the offered root certificate, which is the last one of the chain.
func (e *diagnosis) ask(found *outboundv1.DoctorRecipientResponse) (bool, error) {
	if e.yes {
		return true, nil
	}
	root := toPin(found)
	e.Say("Trust %s for this recipient?", root.GetSubject())
	if root.GetPinned() {
		e.Say("It is not a CA certificate: only exactly this certificate is trusted, until the server gets another one.")
	}
	e.Say("Verify the fingerprint with the endpoint's owner: SHA-256 %s", root.GetFingerprintSha256())
	if _, err := fmt.Fprint(e.Out, "yes or no: "); err != nil {
		return false, err
	}
	return e.Answer("--pin needs confirmation and there is no terminal: use --yes")
}
