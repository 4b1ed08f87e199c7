package httpsender

import (
	"fmt"
	"time"

	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/token"
)

const (
	// tokenMargin is how long before its end a token is replaced, at most.
	tokenMargin = 30 * time.Second
	// tokenConnections are enough: deliveries that want a token at once share one request.
	tokenConnections = 1
)

// newTokens makes the tokens of one revision of a recipient (client credentials). Its error is errAuth.
func newTokens(a *recipient.OAuth2, policy recipient.URLPolicy, o egress.TransportOptions) (*token.Source, error) {
	if err := recipient.CheckURL(a.TokenURL, policy); err != nil {
		return nil, fmt.Errorf("%w: http.auth.oauth2.tokenUrl %w", errAuth, err)
	}
	at, err := recipient.ParseURL(a.TokenURL)
	if err != nil {
		return nil, fmt.Errorf("%w: http.auth.oauth2.tokenUrl %w", errAuth, err)
	}
	o.MaxConns = tokenConnections
	return token.New(token.Options{
		URL: at.String(), ClientID: a.ClientID, ClientSecret: a.ClientSecret, Scopes: a.Scopes, Parameters: a.Parameters,
		Transport: egress.NewTransport(o), Margin: tokenMargin,
	}), nil
}
