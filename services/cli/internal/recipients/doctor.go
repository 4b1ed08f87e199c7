package recipients

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

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
		Short: "Walk the way to an HTTP recipient and name the step that fails",
		Long: "The walk is made by an http-sender: URL, DNS, egress rule, TCP, TLS, and with --post HTTP and its status.\n" +
			"Exit code 1 if a step fails.",
		Example: "  outbound recipients doctor ticket-system --post\n  outbound recipients doctor ticket-system --pin",
		Args:    command.Arguments("RECIPIENT"),
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			return e.examine(ctx, c, args[0])
		}),
	}
	cmd.Flags().BoolVar(&e.post, "post", false, "post a test event too, and judge its status")
	cmd.Flags().BoolVar(&e.pin, "pin", false, "upload the root certificate that the receiver offers, after asking")
	cmd.Flags().BoolVar(&e.yes, "yes", false, "with --pin: do not ask")
	return cmd
}

func (e *diagnosis) examine(ctx context.Context, c *client.Client, id string) error {
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
			pinned := &outboundv1.HttpRecipient{CaCertificatePem: found.GetRootToPinPem()}
			want := &outboundv1.Recipient{Channel: &outboundv1.Recipient_Http{Http: pinned}}
			if err := c.Patch(ctx, client.RecipientPath(id), want, []string{"http.ca_certificate_pem"}, &outboundv1.Recipient{}); err != nil {
				return err
			}
			e.Say("pinned; walking again")
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
		return fmt.Errorf("recipient %s is not healthy: %s failed", id, steps[max(len(steps)-1, 0)].GetName())
	}
	return nil
}

// probe asks for a probe of the connection and prints its steps.
func (e *diagnosis) probe(ctx context.Context, c *client.Client, id string) (*outboundv1.DoctorRecipientResponse, error) {
	found := &outboundv1.DoctorRecipientResponse{}
	if err := c.Call(ctx, http.MethodPost, client.RecipientPath(id)+":doctor", &outboundv1.DoctorRecipientRequest{Post: e.post},
		found); err != nil {
		return nil, err
	}
	if len(found.GetSteps()) == 0 {
		return nil, fmt.Errorf("recipient %s: the answer holds no steps: is the server of another release?", id)
	}
	if e.Structured() {
		return found, nil
	}
	return found, e.Print(doctorTable(found))
}

func doctorTable(found *outboundv1.DoctorRecipientResponse) *output.Table {
	t := &output.Table{Head: []string{"", "STEP", "MS", "FOUND"}}
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
		t.Add("", fmt.Sprintf("cert %d", i+1), "", fmt.Sprintf("%s, issued by %s, until %s", p.GetSubject(), p.GetIssuer(),
			output.Clock(p.GetNotAfterTime())))
		t.Add("", "", "", "SHA-256 "+p.GetFingerprintSha256())
	}
	if found.GetRootToPinPem() != "" {
		t.Add("", "", "", "the last of these is not trusted and could be: --pin uploads it for this recipient")
	}
	return t
}

// ask asks the user to trust the offered root certificate, which is the last one of the chain.
func (e *diagnosis) ask(found *outboundv1.DoctorRecipientResponse) (bool, error) {
	if e.yes {
		return true, nil
	}
	if e.Structured() {
		return false, exit.Usagef("--pin with -o %s needs --yes", e.Format)
	}
	chain := found.GetPresentedChain()
	root := chain[max(len(chain)-1, 0)]
	e.Say("Trust %s for this recipient?", root.GetSubject())
	e.Say("Compare with its owner: SHA-256 %s", root.GetFingerprintSha256())
	if _, err := fmt.Fprint(e.Out, "yes or no: "); err != nil {
		return false, err
	}
	return e.Answer("--pin asks, and nobody answers: use --yes")
}
