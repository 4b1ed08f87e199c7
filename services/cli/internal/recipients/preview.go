package recipients

import (
	"context"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// preview is one run of `recipients preview`.
type preview struct {
	*command.Env
	file, event, eventType string
	html, source           bool
}

func previewCommand(env *command.Env) *cobra.Command {
	p := &preview{Env: env}
	cmd := &cobra.Command{
		Use:   "preview [RECIPIENT]",
		Short: "Show the email or HTTP request for a recipient without sending it",
		Long: "The event is a sample, or with --event a stored event. With -f the recipient comes from a file and is not saved. If it\n" +
			"names an existing recipient, the file replaces all its fields; secrets that are left out are the stored ones.\n" +
			"Secrets are shown as [redacted], values generated at each attempt as [generated when sent].",
		Example: "  outbound recipients preview night-desk\n  outbound recipients preview night-desk --event appliance-1~e-1 --source\n" +
			"  outbound recipients preview -f recipient.yaml --type support_conference_end",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return exit.Usagef("%s takes one recipient, but %q is given as well", cmd.CommandPath(), args[1])
			}
			return nil
		},
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error { return p.show(ctx, c, args) }),
	}
	cmd.Flags().StringVarP(&p.file, "file", "f", "", "YAML or JSON file with a recipient, which is not saved; - reads standard input")
	cmd.Flags().StringVar(&p.event, "event", "", "key of a stored event (default: a sample)")
	cmd.Flags().StringVar(&p.eventType, "type", "", "event type of the sample (default: the recipient's first)")
	cmd.Flags().BoolVar(&p.html, "html", false, "print only the HTML body of the email")
	cmd.Flags().BoolVar(&p.source, "source", false, "print the raw email message")
	cmd.MarkFlagsMutuallyExclusive("html", "source")
	cmd.MarkFlagsMutuallyExclusive("event", "type")
	env.CompleteFlags(cmd, map[string]command.Completion{"type": command.CompleteEventTypes})
	return cmd
}

func (p *preview) show(ctx context.Context, c *client.Client, args []string) error {
	q := &outboundv1.PreviewRecipientRequest{EventId: p.event, EventType: p.eventType}
	path := "/v1/recipients:preview"
	if len(args) > 0 {
		q.Id, path = args[0], client.RecipientPath(args[0])+":preview"
	}
	if p.file != "" {
		t, err := p.Files.Document(p.file)
		if err != nil {
			return err
		}
		q.Recipient = &outboundv1.Recipient{}
		if err := resource.Fill(t, q.GetRecipient(), p.file); err != nil {
			return err
		}
	} else if len(args) == 0 {
		return exit.Usagef("no recipient given: name one, or use -f")
	}
	got := &outboundv1.PreviewRecipientResponse{}
	if err := c.Call(ctx, http.MethodPost, path, q, got); err != nil {
		return err
	}
	switch {
	case p.html || p.source:
		return p.part(got)
	case p.Structured():
		return p.Show(got, nil)
	}
	p.sayPreview(got)
	return nil
}

// part prints the HTML or the source of a mail.
func (p *preview) part(got *outboundv1.PreviewRecipientResponse) error {
	text := got.GetEmail().GetSource()
	switch {
	case got.GetEmail() == nil:
		return exit.Usagef("--html and --source work only for email recipients: this is an HTTP recipient")
	case p.Structured():
		return exit.Usagef("--html and --source print plain text: remove -o")
	case p.html && got.GetEmail().GetHtml() == "":
		return exit.Usagef("the email is plain text: the recipient has no htmlBody")
	case p.html:
		text = got.GetEmail().GetHtml()
	}
	p.sayLines(text)
	return nil
}

// sayLines prints a text of several lines.
func (p *preview) sayLines(text string) {
	for line := range strings.SplitSeq(strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n") {
		p.Say("%s", line)
	}
}

func (p *preview) sayPreview(got *outboundv1.PreviewRecipientResponse) {
	what := got.GetEventId()
	if got.GetSample() {
		what = "a sample"
	}
	p.Say("Event: %s (%s)", what, got.GetEventType())
	if got.GetMatches() {
		p.Say("Routed: yes")
	} else {
		p.Say("Routed: no, %s", got.GetReason())
	}
	p.Say("")
	if r := got.GetHttp(); r != nil {
		p.Say("%s %s", r.GetMethod(), r.GetUrl())
		for _, h := range r.GetHeaders() {
			p.Say("%s: %s", h.GetName(), h.GetValue())
		}
		p.Say("")
		p.sayLines(r.GetBody())
		return
	}
	m := got.GetEmail()
	from := m.GetFrom()
	if from == "" {
		from = "(no from address is set: emails are queued until there is one)"
	}
	p.Say("From: %s", from)
	p.Say("To: %s", strings.Join(m.GetTo(), ", "))
	p.Say("Subject: %s", m.GetSubject())
	p.Say("")
	p.sayLines(m.GetText())
	if m.GetHtml() != "" {
		p.Say("")
		p.Say("The email also has an HTML body: use --html to print it.")
	}
}
