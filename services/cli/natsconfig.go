package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

func appliancesNATSConfig(env *command.Env) *cobra.Command {
	var address, tokenFile, file string
	cmd := &cobra.Command{
		Use:   "nats-config",
		Short: "Write the appliances' accounts for an external nats-server",
		Long: "Nats-config writes the block that the configuration of an external nats-server includes among its accounts: one account\n" +
			"for each appliance, with the hash of its password. Run it after each change of appliances, then nats-server --signal reload.\n" +
			"The embedded broker needs none of this.\n\n" +
			"REST does not give the hashes. They come from the config service over gRPC, with the token that services know each other\n" +
			"by: --grpc and --service-token-file, or OUTBOUND_GRPC and OUTBOUND_SERVICE_TOKEN_FILE, or both from --data.",
		Example: "  outbound appliances nats-config --grpc 127.0.0.1:7071 --service-token-file service.token -w appliances.conf",
		Args:    command.Arguments(),
	}
	cmd.Flags().StringVar(&address, "grpc", "", "gRPC address of the config service")
	cmd.Flags().StringVar(&tokenFile, "service-token-file", "", "file with the token of services")
	cmd.Flags().StringVarP(&file, "write", "w", "", "file to write, whole or not at all (default: standard output)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := watchedSettings(cmd.Context(), env, address, tokenFile)
		if err != nil {
			return err
		}
		text, err := accounts(s.GetAppliances())
		if err != nil {
			return err
		}
		if file == "" {
			_, err = env.Out.Write(text)
			return err
		}
		return replaceFile(file, text)
	}
	return cmd
}

// settingsWait bounds the call of the config service.
const settingsWait = 15 * time.Second

func watchedSettings(ctx context.Context, env *command.Env, address, tokenFile string) (*outboundv1.WatchSettingsResponse, error) {
	if address == "" && env.Source.Data != "" {
		e, err := client.ReadEndpoints(env.Source.Data)
		if err != nil {
			return nil, err
		}
		address = e.GRPC
	}
	if tokenFile == "" && env.Source.Data != "" {
		tokenFile = filepath.Join(env.Source.Data, "service.token")
	}
	if address == "" {
		address = env.Files.Getenv("OUTBOUND_GRPC")
	}
	if tokenFile == "" {
		tokenFile = env.Files.Getenv("OUTBOUND_SERVICE_TOKEN_FILE")
	}
	if address == "" || tokenFile == "" {
		return nil, exit.Usagef("appliances nats-config needs --grpc and --service-token-file, or --data")
	}
	token, err := env.Files.ReadSecret(tokenFile)
	if err != nil {
		return nil, err
	}
	conn, err := rpc.Dial(address, token)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(ctx, settingsWait)
	defer cancel()
	stream, err := outboundv1.NewSettingsServiceClient(conn).WatchSettings(ctx, &outboundv1.WatchSettingsRequest{})
	if err != nil {
		return nil, fmt.Errorf("ask the config service at %s: %w", address, err)
	}
	s, err := stream.Recv()
	if err != nil {
		return nil, fmt.Errorf("ask the config service at %s: %w", address, err)
	}
	return s, nil
}

// accounts returns an account for each appliance, as the embedded broker makes them: it may publish to the intake under its own id and
// get replies, and cannot see the other accounts.
func accounts(list []*outboundv1.StoredAppliance) ([]byte, error) {
	var b strings.Builder
	b.WriteString("# Written by outbound appliances nats-config: changes by hand are lost.\n")
	for _, x := range list {
		id, hash := x.GetAppliance().GetId(), x.GetPasswordBcrypt()
		if !event.ValidAppliance(id) || hash == "" || strings.ContainsAny(hash, "\"\\\n") {
			return nil, fmt.Errorf("write the account of appliance %q: its id or its hash is not usable", id)
		}
		_, _ = fmt.Fprintf(&b,
			"APPLIANCE_%s {\n  users: [ { user: %q, password: %q, permissions: { publish: [%q], subscribe: [\"_INBOX.>\"] } } ]\n"+
				"  imports: [ { service: { account: CORE, subject: %q } } ]\n}\n",
			id, id, hash, bus.ApplianceSubjects(id), bus.IngestSubjectOf(id, "*"))
	}
	return []byte(b.String()), nil
}

// replaceFile writes a file that only its owner may read, whole or not at all.
func replaceFile(path string, text []byte) error {
	temp := path + ".new"
	if err := os.WriteFile(temp, text, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
