package setup

import (
	"context"

	"github.com/outbound-events/outbound/pkg/bus/accounts"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/process"
)

// SignIn are the options of a process that tells a broker in operator mode who may sign in.
type SignIn struct {
	// KeyFile holds the key of the appliances' accounts, which `outbound broker make` writes. Empty: the broker knows its users itself.
	KeyFile string `yaml:"keyFile"`
}

// Accounts are the options of a process that makes the appliances' accounts at a broker in operator mode.
type Accounts struct {
	SignIn `yaml:",inline"`
	// OperatorKeyFile holds the operator's signing key, SystemCredsFile the credentials of a user of the broker's system account.
	OperatorKeyFile string `yaml:"operatorKeyFile"`
	SystemCredsFile string `yaml:"systemCredsFile"`
}

// Validate reports every fault at once.
func (o Accounts) Validate() error {
	var f process.Faults
	if o == (Accounts{}) {
		return nil
	}
	for option, value := range map[string]string{
		"keyFile": o.KeyFile, "operatorKeyFile": o.OperatorKeyFile, "systemCredsFile": o.SystemCredsFile,
	} {
		if value == "" {
			f.Add(option, "is missing: set keyFile, operatorKeyFile and systemCredsFile to files that outbound broker make has written, or none")
		}
	}
	return f.Err()
}

// OpenAccounts connects to the broker's system account. Without options it returns nil.
func (p *Process) OpenAccounts(ctx context.Context, o Accounts) (*accounts.Resolver, error) {
	if o.KeyFile == "" {
		return nil, nil
	}
	keys, err := accounts.ReadKeys(o.KeyFile)
	if err != nil {
		return nil, err
	}
	core, err := accounts.CoreAccount(p.broker.CredsFile)
	if err != nil {
		return nil, err
	}
	operator, err := accounts.NewOperator(o.OperatorKeyFile, keys, core)
	if err != nil {
		return nil, err
	}
	resolver, err := accounts.NewResolver(ctx, p.broker, o.SystemCredsFile, operator)
	if err != nil {
		return nil, err
	}
	p.Defer(resolver.Close)
	return resolver, nil
}

// AnswerSignIns adds a task that tells the broker which appliances may sign in, once the configuration is known. Without options there is
// none.
func (p *Process) AnswerSignIns(ctx context.Context, o SignIn, config *configclient.Client) error {
	if o.KeyFile == "" {
		return nil
	}
	keys, err := accounts.ReadKeys(o.KeyFile)
	if err != nil {
		return err
	}
	r, err := accounts.NewResponder(ctx, p.broker, keys)
	if err != nil {
		return err
	}
	p.Defer(r.Close)
	config.OnChange(func() {
		if config.Told() != nil {
			return
		}
		hashes := map[string]string{}
		for id, a := range config.Settings().Appliances {
			hashes[id] = a.PasswordBcrypt
		}
		r.Replace(hashes)
	})
	p.Add("sign-in", r.Run)
	return nil
}
