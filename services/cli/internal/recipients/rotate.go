package recipients

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

func rotateCommand(env *command.Env) *cobra.Command {
	var ed25519 bool
	var file, etag string
	overlap := 24 * time.Hour
	cmd := &cobra.Command{
		Use:   "rotate-secret RECIPIENT",
		Short: "Replace the signing secret; the old one signs on for --overlap",
		Long: "Replace the secret that signs requests by a new one, which is shown only once. For --overlap requests carry a signature\n" +
			"of each, so that the receiver can switch at any time; then the old secret ends by itself.",
		Example: "  outbound recipients rotate-secret ticket-system --overlap 24h\n" +
			"  outbound recipients rotate-secret ticket-system --overlap 0s   # the old secret has leaked",
		Args: command.Arguments("RECIPIENT"),
	}
	f := cmd.Flags()
	command.DurationVar(f, &overlap, "overlap", "how long the old secret signs on, at most 90d; 0s ends it at once")
	f.BoolVar(&ed25519, "ed25519", false, "make the new secret an Ed25519 key pair and show its public key")
	f.StringVar(&file, "signing-secret-file", "", "file with the new secret (whsec_… or whsk_…); - reads standard input (default: generated)")
	f.StringVar(&etag, "etag", "", "fail if the recipient's etag is no longer this one")
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		req := &outboundv1.RotateSigningSecretRequest{Overlap: durationpb.New(overlap), Etag: etag}
		if file != "" {
			var err error
			if req.Secret, err = env.Files.ReadSecret(file); err != nil {
				return err
			}
		}
		switch {
		case strings.HasPrefix(req.GetSecret(), "whsk_") || ed25519:
			req.Kind = outboundv1.SigningSecret_ED25519
		case req.GetSecret() != "":
			req.Kind = outboundv1.SigningSecret_HMAC_SHA256
		}
		saved := &outboundv1.Recipient{}
		if err := c.Call(ctx, http.MethodPost, client.RecipientPath(args[0])+":rotateSecret", req, saved); err != nil {
			return err
		}
		if err := showSaved(env, "rotated the signing secret of", saved); err != nil || env.Structured() {
			return err
		}
		for _, s := range saved.GetHttp().GetSigningSecrets() {
			if s.GetExpireTime() != nil {
				env.Say("signing secret %s signs on until %s", s.GetId(), output.Clock(s.GetExpireTime()))
			}
		}
		return nil
	})
	return cmd
}

// keepSecrets refuses an update that drops signing secrets of a recipient, whose receiver would refuse every request from then on. The
// update then holds only for the recipient that was read.
func keepSecrets(ctx context.Context, c *client.Client, id string, want *outboundv1.Recipient) error {
	stored := &outboundv1.Recipient{}
	if err := c.Call(ctx, http.MethodGet, client.RecipientPath(id), nil, stored); err != nil {
		return err
	}
	kept := map[string]bool{}
	for _, s := range want.GetHttp().GetSigningSecrets() {
		kept[s.GetId()] = s.GetSecret() == ""
	}
	for _, s := range stored.GetHttp().GetSigningSecrets() {
		if !kept[s.GetId()] {
			return exit.Usagef("recipient %s has a signing secret (%s), which its receiver verifies: use \"outbound recipients rotate-secret %s\","+
				" after which both sign for a while, or --replace-secrets to drop it at once", id, s.GetId(), id)
		}
	}
	if want.GetEtag() == "" {
		want.Etag = stored.GetEtag()
	}
	return nil
}

// setsSecrets reports whether an update sets signing secrets.
func setsSecrets(t resource.Tree) bool {
	http, _ := t["http"].(resource.Tree)
	for _, name := range []string{"signingSecrets", "signing_secrets"} {
		if _, ok := http[name]; ok {
			return true
		}
	}
	return false
}
