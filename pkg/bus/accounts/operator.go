package accounts

import (
	"fmt"
	"os"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/outbound-events/outbound/pkg/bus"
)

// prefix of the names of the appliances' accounts.
const prefix = "APPLIANCE_"

// Limits of an appliance on the broker, those of the embedded one.
const (
	maxConnections   = 1000
	maxSubscriptions = 1000
)

// Operator issues the accounts of appliances.
type Operator struct {
	signer nkeys.KeyPair
	keys   *Keys
	// core is the account of Outbound's services.
	core string
}

// NewOperator returns an operator that signs by the key in a file. core is the public key of the account of Outbound's services.
func NewOperator(keyFile string, keys *Keys, core string) (*Operator, error) {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("read the operator's signing key: %w", err)
	}
	signer, err := nkeys.ParseDecoratedNKey(text)
	if err != nil {
		return nil, fmt.Errorf("read the operator's signing key from %s: %w", keyFile, err)
	}
	if p, err := signer.PublicKey(); err != nil || !nkeys.IsValidPublicOperatorKey(p) {
		return nil, fmt.Errorf("read the operator's signing key from %s: it is not the seed of an operator (SO...)", keyFile)
	}
	return &Operator{signer: signer, keys: keys, core: core}, nil
}

// Account is the account of an appliance.
type Account struct {
	// Key is its public key.
	Key    string
	claims *jwt.AccountClaims
}

// Account returns the account that an appliance has with the password of this hash: it may request the intake under its own id.
func (o *Operator) Account(id, passwordBcrypt string) (Account, error) {
	pair, err := o.keys.appliance(id, passwordBcrypt)
	if err != nil {
		return Account{}, err
	}
	key, err := public(pair)
	if err != nil {
		return Account{}, err
	}
	c := jwt.NewAccountClaims(key)
	c.Name = prefix + id
	c.Limits.Conn, c.Limits.Subs = maxConnections, maxSubscriptions
	// It has no JetStream, and shares nothing.
	c.Limits.LeafNodeConn, c.Limits.Exports, c.Limits.WildcardExports = 0, 0, false
	c.Imports.Add(&jwt.Import{Name: "intake", Account: o.core, Subject: jwt.Subject(bus.ApplianceSubjects(id)), Type: jwt.Service})
	return Account{Key: key, claims: c}, nil
}

// sign returns the account as nats-server takes it.
func (o *Operator) sign(a Account) (string, error) {
	text, err := a.claims.Encode(o.signer)
	if err != nil {
		return "", fmt.Errorf("sign account %s: %w", a.claims.Name, err)
	}
	return text, nil
}

// signDeletion returns the request to delete accounts.
func (o *Operator) signDeletion(keys []string) (string, error) {
	p, err := public(o.signer)
	if err != nil {
		return "", err
	}
	c := jwt.NewGenericClaims(p)
	c.Data["accounts"] = keys
	text, err := c.Encode(o.signer)
	if err != nil {
		return "", fmt.Errorf("sign the deletion of accounts: %w", err)
	}
	return text, nil
}

// CoreAccount is the public key of the account that a credentials file signs in to.
func CoreAccount(credsFile string) (string, error) {
	text, err := os.ReadFile(credsFile)
	if err != nil {
		return "", fmt.Errorf("read the broker's credentials: %w", err)
	}
	user, err := jwt.ParseDecoratedJWT(text)
	if err != nil {
		return "", fmt.Errorf("read the broker's credentials from %s: %w", credsFile, err)
	}
	c, err := jwt.DecodeUserClaims(user)
	if err != nil {
		return "", fmt.Errorf("read the broker's credentials from %s: %w", credsFile, err)
	}
	if c.IssuerAccount != "" {
		return c.IssuerAccount, nil
	}
	return c.Issuer, nil
}
