package accounts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus"
)

// The requests to the servers, which all of them answer.
const (
	subjectList   = "$SYS.REQ.CLAIMS.LIST"
	subjectUpdate = "$SYS.REQ.CLAIMS.UPDATE"
	subjectDelete = "$SYS.REQ.CLAIMS.DELETE"
	subjectLookup = "$SYS.REQ.ACCOUNT.%s.CLAIMS.LOOKUP"
)

// How long the first answer is waited for, and how long after an answer for another server's.
const (
	firstAnswer = 5 * time.Second
	nextAnswer  = 300 * time.Millisecond
)

// Resolver has the servers keep accounts.
type Resolver struct {
	nc       *nats.Conn
	operator *Operator
	// servers is how many answered last.
	servers atomic.Int32
}

// NewResolver connects as a user of the system account. A broker that is away is waited for until ctx ends.
func NewResolver(ctx context.Context, o bus.Options, credsFile string, operator *Operator) (*Resolver, error) {
	o.Name += ".system"
	nc, err := o.ConnectPlain(ctx, nats.UserCredentials(credsFile))
	if err != nil {
		return nil, err
	}
	return &Resolver{nc: nc, operator: operator}, nil
}

// Account returns the account that an appliance has with the password of this hash.
func (r *Resolver) Account(id, passwordBcrypt string) (Account, error) {
	return r.operator.Account(id, passwordBcrypt)
}

// Close closes the connection.
func (r *Resolver) Close() { r.nc.Close() }

// answer is what a server answers.
type answer struct {
	Server struct {
		Name string `json:"name"`
	} `json:"server"`
	Data  json.RawMessage `json:"data"`
	Error *struct {
		Description string `json:"description"`
	} `json:"error"`
}

// ask sends a request and returns what the servers answer. known ends the wait with the last of as many as answered before.
func (r *Resolver) ask(ctx context.Context, subject string, data []byte, known bool) ([]answer, error) {
	inbox := r.nc.NewInbox()
	sub, err := r.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("ask the broker's system account: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := r.nc.PublishRequest(subject, inbox, data); err != nil {
		return nil, fmt.Errorf("ask the broker's system account: %w", err)
	}
	var out []answer
	for wait := firstAnswer; ; wait = nextAnswer {
		ctx, cancel := context.WithTimeout(ctx, wait)
		m, err := sub.NextMsgWithContext(ctx)
		cancel()
		if err != nil && len(out) > 0 {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("ask the broker's system account (%s): %w", subject, err)
		}
		var a answer
		if err := json.Unmarshal(m.Data, &a); err != nil {
			return nil, fmt.Errorf("read the answer of the broker's system account (%s): %w", subject, err)
		}
		out = append(out, a)
		if known && len(out) >= int(r.servers.Load()) {
			break
		}
	}
	return out, nil
}

// refused joins what servers refuse.
func refused(what string, answers []answer) error {
	var errs []error
	for _, a := range answers {
		if a.Error != nil {
			errs = append(errs, fmt.Errorf("%s at %s: %s", what, a.Server.Name, a.Error.Description))
		}
	}
	return errors.Join(errs...)
}

// List returns the public keys of the accounts that servers have, each with whether all of them have it.
func (r *Resolver) List(ctx context.Context) (map[string]bool, error) {
	answers, err := r.ask(ctx, subjectList, nil, false)
	if err != nil {
		return nil, err
	}
	if err := refused("list the accounts", answers); err != nil {
		return nil, err
	}
	r.servers.Store(int32(len(answers))) //nolint:gosec // a handful
	counts := map[string]int{}
	for _, a := range answers {
		var keys []string
		if err := json.Unmarshal(a.Data, &keys); err != nil {
			return nil, fmt.Errorf("read the accounts of %s: %w", a.Server.Name, err)
		}
		for _, k := range keys {
			counts[k]++
		}
	}
	out := make(map[string]bool, len(counts))
	for k, n := range counts {
		out[k] = n == len(answers)
	}
	return out, nil
}

// Put has all servers keep an account, in place of an earlier form of it.
func (r *Resolver) Put(ctx context.Context, a Account) error {
	text, err := r.operator.sign(a)
	if err != nil {
		return err
	}
	answers, err := r.ask(ctx, subjectUpdate, []byte(text), true)
	if err != nil {
		return err
	}
	return refused("store the account "+a.claims.Name, answers)
}

// Delete has all servers delete accounts, which closes their connections. A server that lacks one of them may refuse.
func (r *Resolver) Delete(ctx context.Context, keys []string) error {
	text, err := r.operator.signDeletion(keys)
	if err != nil {
		return err
	}
	answers, err := r.ask(ctx, subjectDelete, []byte(text), true)
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.Error == nil {
			return nil
		}
	}
	return refused("delete accounts", answers)
}

// State is what the servers have of an account.
type State int

// The states.
const (
	// Foreign is an account that is not one of an appliance, or was made by another operator.
	Foreign State = iota
	// Outdated is an account of an appliance with other limits or another import than it should have.
	Outdated
	// Current is an account of an appliance as it should be.
	Current
	// Unwanted is an account of an appliance that is not to be there.
	Unwanted
)

// Look compares what the servers have of an account with what they should have; nil: nothing.
func (r *Resolver) Look(ctx context.Context, key string, want *Account) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, firstAnswer)
	defer cancel()
	m, err := r.nc.RequestWithContext(ctx, fmt.Sprintf(subjectLookup, key), nil)
	if err != nil {
		return Foreign, fmt.Errorf("look up account %s: %w", key, err)
	}
	if len(m.Data) == 0 {
		return Outdated, nil
	}
	has, err := jwt.DecodeAccountClaims(string(m.Data))
	if err != nil {
		return Foreign, fmt.Errorf("look up account %s: %w", key, err)
	}
	signer, err := public(r.operator.signer)
	switch {
	case err != nil:
		return Foreign, err
	case has.Issuer != signer || !strings.HasPrefix(has.Name, prefix):
		return Foreign, nil
	case want == nil:
		return Unwanted, nil
	}
	same, err := same(has, want.claims)
	if err != nil || !same {
		return Outdated, err
	}
	return Current, nil
}

// same compares what matters of two accounts, as it is written.
func same(has, want *jwt.AccountClaims) (bool, error) {
	var text [2]string
	for i, c := range []*jwt.AccountClaims{has, want} {
		b, err := json.Marshal(struct {
			Imports jwt.Imports
			Limits  jwt.OperatorLimits
		}{c.Imports, c.Limits})
		if err != nil {
			return false, fmt.Errorf("compare accounts: %w", err)
		}
		text[i] = string(b)
	}
	return text[0] == text[1], nil
}
