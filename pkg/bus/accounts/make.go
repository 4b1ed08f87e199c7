package accounts

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/outbound-events/outbound/pkg/bus"
)

// The files that Make writes.
const (
	// FileConf is included by nats-server's configuration. It holds no secret.
	FileConf = "accounts.conf"
	// FileCore holds the credentials of Outbound's services.
	FileCore = "core.creds"
	// FileSystem holds those by which the config service manages accounts.
	FileSystem = "system.creds"
	// FileOperator holds the operator's signing key.
	FileOperator = "operator.key"
	// FileAppliances holds the secret of Keys.
	FileAppliances = "appliances.key"
	// DirRoots holds the identities of operator and accounts, which no process reads.
	DirRoots = "roots"
)

// made is what a new operator consists of.
type made struct {
	root, signer, core, system nkeys.KeyPair
	keys                       *Keys
	secret                     string
}

// Make makes a new operator with all accounts, and writes its files into a folder that has none of them. resolver is the folder in which
// nats-server keeps accounts. It returns the files, the secret ones readable by their owner alone.
func Make(dir, resolver string) ([]string, error) {
	for _, name := range []string{FileConf, FileCore, FileSystem, FileOperator, FileAppliances, DirRoots} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return nil, fmt.Errorf("%s exists: a new operator would shut out who signs in by it; give another folder, or remove all "+
				"files of this one", filepath.Join(dir, name))
		}
	}
	m, err := generate()
	if err != nil {
		return nil, err
	}
	files, err := m.files(resolver)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, DirRoots), 0o700); err != nil {
		return nil, fmt.Errorf("create %s: %w", dir, err)
	}
	out := make([]string, 0, len(files))
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if err := os.WriteFile(path, f.content, f.mode); err != nil {
			return out, fmt.Errorf("write %s: %w", path, err)
		}
		out = append(out, path)
	}
	return out, nil
}

func generate() (*made, error) {
	m := &made{secret: NewSecret()}
	var err error
	if m.keys, err = ParseKeys(m.secret); err != nil {
		return nil, err
	}
	for _, x := range []struct {
		pair *nkeys.KeyPair
		make func() (nkeys.KeyPair, error)
	}{{&m.root, nkeys.CreateOperator}, {&m.signer, nkeys.CreateOperator}, {&m.core, nkeys.CreateAccount}, {&m.system, nkeys.CreateAccount}} {
		if *x.pair, err = x.make(); err != nil {
			return nil, fmt.Errorf("make a key: %w", err)
		}
	}
	return m, nil
}

type file struct {
	name    string
	content []byte
	mode    os.FileMode
}

func (m *made) files(resolver string) ([]file, error) {
	conf, err := m.conf(resolver)
	if err != nil {
		return nil, err
	}
	out := []file{{FileConf, conf, 0o644}, {FileAppliances, []byte(m.secret + "\n"), 0o600}}
	for name, pair := range map[string]nkeys.KeyPair{FileCore: m.core, FileSystem: m.system} {
		creds, err := credentials(pair, strings.TrimSuffix("outbound."+name, ".creds"))
		if err != nil {
			return nil, err
		}
		out = append(out, file{name, creds, 0o600})
	}
	for name, pair := range map[string]nkeys.KeyPair{
		FileOperator: m.signer, filepath.Join(DirRoots, "operator.key"): m.root,
		filepath.Join(DirRoots, "core.key"): m.core, filepath.Join(DirRoots, "system.key"): m.system,
	} {
		seed, err := pair.Seed()
		if err != nil {
			return nil, fmt.Errorf("write the key of %s: %w", name, err)
		}
		out = append(out, file{name, append(seed, '\n'), 0o600})
	}
	return out, nil
}

// credentials returns the file by which a client signs in to an account as a new user.
func credentials(account nkeys.KeyPair, name string) ([]byte, error) {
	user, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("make the user %s: %w", name, err)
	}
	key, err := public(user)
	if err != nil {
		return nil, err
	}
	c := jwt.NewUserClaims(key)
	c.Name = name
	text, err := c.Encode(account)
	if err != nil {
		return nil, fmt.Errorf("sign the user %s: %w", name, err)
	}
	seed, err := user.Seed()
	if err != nil {
		return nil, fmt.Errorf("make the user %s: %w", name, err)
	}
	out, err := jwt.FormatUserConfig(text, seed)
	if err != nil {
		return nil, fmt.Errorf("write the user %s: %w", name, err)
	}
	return out, nil
}

// coreClaims is the account of Outbound's services: it has JetStream without bounds, and appliances may import the intake.
func (m *made) coreClaims() (*jwt.AccountClaims, error) {
	key, err := public(m.core)
	if err != nil {
		return nil, err
	}
	c := jwt.NewAccountClaims(key)
	c.Name = "CORE"
	c.Limits.JetStreamLimits = jwt.JetStreamLimits{
		MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit, MaxAckPending: jwt.NoLimit,
		MemoryMaxStreamBytes: jwt.NoLimit, DiskMaxStreamBytes: jwt.NoLimit,
	}
	c.Exports.Add(&jwt.Export{Name: "intake", Subject: bus.IngestExport, Type: jwt.Service, ResponseType: jwt.ResponseTypeSingleton})
	return c, nil
}

// signInClaims is the account in which nats-server asks who signs in.
func (m *made) signInClaims() (*jwt.AccountClaims, error) {
	key, err := public(m.keys.signIn)
	if err != nil {
		return nil, err
	}
	responder, err := public(m.keys.responder)
	if err != nil {
		return nil, err
	}
	sealing, err := public(m.keys.sealing)
	if err != nil {
		return nil, err
	}
	c := jwt.NewAccountClaims(key)
	c.Name = "SIGN_IN"
	c.EnableExternalAuthorization(responder)
	c.Authorization.AllowedAccounts.Add(jwt.AnyAccount)
	c.Authorization.XKey = sealing
	return c, nil
}

// sentinel is what nats-server takes for the credentials of a client that has a name and a password alone. By itself it may do nothing.
func (m *made) sentinel() (string, error) {
	user, err := nkeys.CreateUser()
	if err != nil {
		return "", fmt.Errorf("make the default user: %w", err)
	}
	key, err := public(user)
	if err != nil {
		return "", err
	}
	c := jwt.NewUserClaims(key)
	c.Name, c.BearerToken = "default", true
	c.Pub.Deny.Add(">")
	c.Sub.Deny.Add(">")
	text, err := c.Encode(m.keys.signIn)
	if err != nil {
		return "", fmt.Errorf("sign the default user: %w", err)
	}
	return text, nil
}

// conf is what nats-server's configuration includes.
func (m *made) conf(resolver string) ([]byte, error) {
	root, err := public(m.root)
	if err != nil {
		return nil, err
	}
	signer, err := public(m.signer)
	if err != nil {
		return nil, err
	}
	system, err := public(m.system)
	if err != nil {
		return nil, err
	}
	o := jwt.NewOperatorClaims(root)
	o.Name, o.SystemAccount = "outbound", system
	o.SigningKeys.Add(signer)
	operator, err := o.Encode(m.root)
	if err != nil {
		return nil, fmt.Errorf("sign the operator: %w", err)
	}
	sys := jwt.NewAccountClaims(system)
	sys.Name = "SYS"
	core, err := m.coreClaims()
	if err != nil {
		return nil, err
	}
	signIn, err := m.signInClaims()
	if err != nil {
		return nil, err
	}
	data := confData{Operator: operator, System: system, Resolver: resolver}
	for _, c := range []*jwt.AccountClaims{sys, core, signIn} {
		text, err := c.Encode(m.signer)
		if err != nil {
			return nil, fmt.Errorf("sign the account %s: %w", c.Name, err)
		}
		data.Accounts = append(data.Accounts, preload{Name: c.Name, Key: c.Subject, JWT: text})
	}
	if data.Sentinel, err = m.sentinel(); err != nil {
		return nil, err
	}
	t, err := template.New(FileConf).Parse(conf)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", FileConf, err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("write %s: %w", FileConf, err)
	}
	return b.Bytes(), nil
}

type confData struct {
	Operator, System, Resolver, Sentinel string
	Accounts                             []preload
}

type preload struct{ Name, Key, JWT string }

const conf = `# Written by outbound broker make. nats-server's configuration includes it; it holds no secret.
operator: {{.Operator}}
system_account: {{.System}}
# Who signs in with a name and a password is checked by the ingest services.
default_sentinel: {{.Sentinel}}
# Where the accounts of appliances are kept. The servers of a cluster tell each other of them.
resolver: { type: full, dir: {{printf "%q" .Resolver}}, allow_delete: true, interval: "10s" }
resolver_preload: {
{{- range .Accounts}}
  # {{.Name}}
  {{.Key}}: {{.JWT}}
{{- end}}
}
`
