package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/pkg/pki"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// folderAuthority is where the authority is, beside a folder for each certificate.
const folderAuthority = "ca"

// servers are what needs a certificate besides our services.
func servers() []string { return []string{"nats", "redis"} }

// certificates makes the commands for certificates of separate services.
func certificates(env *command.Env) *cobra.Command {
	return command.Group("certificates", "Make the certificates of separate services", certificatesMake(env))
}

func certificatesMake(env *command.Env) *cobra.Command {
	var dir string
	var hosts []string
	cmd := &cobra.Command{
		Use:   "make",
		Short: "Make a local authority and a certificate for each service, and renew what expires",
		Long: "Make writes a certificate authority into DIR/ca, and for each service, nats and redis a folder in DIR with tls.crt,\n" +
			"tls.key and ca.crt. The certificate of a service is its identity. It is for localhost, the name of the service and each --host.\n\n" +
			"Run it again to renew: it keeps what is valid for more than a third of its life, and the authority's key. The services read their\n" +
			"files again by themselves; nats-server does so on a reload.",
		Example: "  outbound certificates make --dir deploy/secrets/tls\n  outbound certificates make --dir tls --host outbound.example.com",
		Args:    command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return exit.Usagef("outbound certificates make needs --dir DIR")
			}
			return makeCertificates(cmd.Context(), env, dir, hosts)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder of the authority and the certificates; created if it does not exist")
	cmd.Flags().StringArrayVar(&hosts, "host", nil, "additional name or address that the certificates are for; may be repeated")
	return cmd
}

func makeCertificates(ctx context.Context, env *command.Env, dir string, hosts []string) error {
	now := time.Now()
	a, err := pki.OpenAuthority(filepath.Join(dir, folderAuthority), now)
	if err != nil {
		return err
	}
	for _, name := range slices.Concat(pki.ServiceNames(), servers()) {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := pki.Subject{Hosts: slices.Concat([]string{name, "localhost", "127.0.0.1", "::1"}, hosts)}
		if !slices.Contains(servers(), name) {
			s.Service = name
		}
		folder := filepath.Join(dir, name)
		issued, err := a.Ensure(folder, s, now)
		if err != nil {
			return fmt.Errorf("the certificate of %s: %w", name, err)
		}
		if err := replaceFile(filepath.Join(folder, pki.FileCA), a.CertificatePEM()); err != nil {
			return err
		}
		verb := "kept"
		if issued {
			verb = "made"
		}
		fmt.Fprintf(env.Out, "%s %s\n", verb, filepath.Join(folder, pki.FileCert))
	}
	fmt.Fprintf(env.Out, "the authority is %s, fingerprint %s\n", filepath.Join(dir, folderAuthority, pki.FileCA), a.Fingerprint())
	return nil
}
