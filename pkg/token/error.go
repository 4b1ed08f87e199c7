package token

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/oauth2"

	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/secret"
)

var (
	errURL     = errors.New("its URL is not valid: use one with a scheme and a host")
	errTooLong = fmt.Errorf("its response is longer than %d KiB", maxAnswer>>10)
	errPage    = errors.New("its response contains no token, it is a page of HTML or XML: check the token URL")
	errText    = errors.New("its token has characters that are not allowed in a token")
)

// codeInvalidClient is the error of refused credentials of the client.
const codeInvalidClient = "invalid_client"

const (
	// maxCode is longer than any error code of RFC 6749.
	maxCode = 64
	// maxSaid is how much of an endpoint's own words is told, in characters: a sentence or two.
	maxSaid = 200
	// maxEcho is how many characters in a row may also stand in a secret: words have that many by chance.
	maxEcho = 5
)

// typeError is a token that can't be sent as a bearer token, because of its type.
type typeError struct{ kind string }

// Error says which type it is.
func (e *typeError) Error() string { return "its token is of a type other than Bearer" }

// Error says why there is no token, in words for operators. It holds no secret and nothing of an answer but the code of the error and
// a bounded description: neither does its cause.
type Error struct {
	words string
	cause error
	// abandoned says that the context of whoever asked had ended.
	abandoned bool
}

// Error says what happened.
func (e *Error) Error() string { return e.words }

// Unwrap is the end of a context or an *egress.DialError; nil for whatever else happened.
func (e *Error) Unwrap() error { return e.cause }

// explain says at which step an error arose.
func (s *Source) explain(ctx context.Context, err error, refresh string) *Error {
	out := &Error{abandoned: ctx.Err() != nil}
	var dial *egress.DialError
	var answer *oauth2.RetrieveError
	var verify *tls.CertificateVerificationError
	var at *url.Error
	var other *typeError
	what := "its response contains no token"
	switch {
	case errors.As(err, &dial):
		out.cause, what = dial, dial.Error()
	case errors.Is(err, context.DeadlineExceeded):
		out.cause, what = context.DeadlineExceeded, "no response in time"
	case errors.Is(err, context.Canceled):
		out.cause, what = context.Canceled, "cancelled"
	case errors.As(err, &answer):
		what = s.answered(answer, refresh)
	case errors.Is(err, errURL), errors.Is(err, errTooLong), errors.Is(err, errPage), errors.Is(err, errText):
		what = innermost(err).Error()
	case errors.As(err, &other):
		what = other.Error()
		if isWord(other.kind) && !s.echoes(other.kind, refresh) {
			what += ": " + other.kind
		}
	case errors.As(err, &verify):
		what = "its certificate is not trusted: " + verify.Err.Error()
	case errors.As(err, &at) && unreached(err):
		what = "connecting failed: " + innermost(at.Err).Error()
	case errors.As(err, &at):
		what = "it closed the connection without a response, or its response is not HTTP"
		if said := s.endpointError(innermost(at.Err).Error(), refresh); said != "" {
			what += ": " + said
		}
	}
	out.words = "OAuth 2.0: no token from " + s.host() + ": " + what
	return out
}

func (s *Source) host() string {
	if s.at == nil {
		return "the token endpoint"
	}
	return s.at.Host
}

// innermost is the cause of causes, which names no URL.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

func unreached(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &dns) || errors.As(err, &op) && op.Op == "dial"
}

// refuses reports an answer that is a refusal.
func refuses(err error) bool {
	var answer *oauth2.RetrieveError
	return errors.As(err, &answer)
}

// refusesBasic reports an answer that may come of the way the credentials were sent. A refresh token that is refused was looked at, and
// may not be sent twice.
func refusesBasic(err error, refresh string) bool {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		return false
	}
	status := answer.Response.StatusCode
	return status == http.StatusUnauthorized || answer.ErrorCode == codeInvalidClient ||
		status == http.StatusBadRequest && (refresh == "" || answer.ErrorCode != "invalid_grant")
}

// refusesClient reports an answer that speaks of the client's credentials.
func refusesClient(err error) bool {
	var answer *oauth2.RetrieveError
	return errors.As(err, &answer) && (answer.Response.StatusCode == http.StatusUnauthorized || answer.ErrorCode == codeInvalidClient)
}

// answered words a refusal (RFC 6749, 5.2).
func (s *Source) answered(e *oauth2.RetrieveError, refresh string) string {
	status := e.Response.StatusCode
	words := strings.TrimSpace(fmt.Sprintf("it responded with HTTP %d %s", status, http.StatusText(status)))
	if status >= 300 && status < 400 {
		return words + ": redirects are not followed"
	}
	if code := e.ErrorCode; isWord(code) && !s.echoes(code, refresh) {
		words += " (" + code + ")"
	}
	words += advice(e, refresh)
	if said := s.endpointError(e.ErrorDescription, refresh); said != "" {
		words += "; it says: " + said
	}
	if page := s.errorURI(e.ErrorURI, refresh); page != "" {
		words += "; see " + page
	}
	return words
}

// isWord reports a code or the name of a type: RFC 6749 (5.2) allows more, in which endpoints could say anything.
func isWord(s string) bool {
	return s != "" && len(s) <= maxCode && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_-.:/", r)
	})
}

// errorURI is the page about an error (RFC 6749, 5.2); empty if it is no URL of the web, is too long or shows a secret.
func (s *Source) errorURI(page, refresh string) string {
	u, err := url.Parse(page)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return ""
	}
	plain, err := url.QueryUnescape(page)
	if err != nil || s.echoes(plain, refresh) || s.endpointError(page, refresh) != page {
		return ""
	}
	return page
}

// advice is what to look at, for the codes that tell.
func advice(e *oauth2.RetrieveError, refresh string) string {
	switch {
	case e.ErrorCode == "invalid_grant" && refresh != "":
		return ": the refresh token has expired or was revoked, set a new one"
	case refusesClient(e):
		return ": check clientId and clientSecret"
	case e.ErrorCode == "invalid_scope":
		return ": check scopes"
	case e.ErrorCode == "invalid_target": // RFC 8707, 2
		return ": check the parameters resource and audience"
	case e.ErrorCode == "unauthorized_client" || e.ErrorCode == "unsupported_grant_type":
		return ": allow this grant type for the client"
	default:
		return ""
	}
}

// endpointError is what an endpoint said: one line, bounded, without addresses of people. It is empty if a secret shows in it.
func (s *Source) endpointError(said, refresh string) string {
	said = strings.ToValidUTF8(said, "")
	said = strings.Join(strings.FieldsFunc(said, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	said = regexp.MustCompile(`[^\s<>"(),;:\[\]]+@[^\s<>"(),;:\[\]]+`).ReplaceAllString(said, "…")
	if r := []rune(said); len(r) > maxSaid {
		said = string(r[:maxSaid]) + "…"
	}
	if s.echoes(said, refresh) {
		return ""
	}
	return said
}

// echoes reports a text that shows a secret or a part of one, plain or as it was sent.
func (s *Source) echoes(text, refresh string) bool {
	text = strings.ToLower(text)
	for _, part := range s.secrets(refresh) {
		part = strings.ToLower(part)
		n := min(len(part), maxEcho+1)
		for i := 0; n > 0 && i+n <= len(part); i++ {
			if strings.Contains(text, part[i:i+n]) {
				return true
			}
		}
	}
	return false
}

// secrets are what an endpoint was told and may repeat.
func (s *Source) secrets(refresh string) []string {
	id, escaped := url.QueryEscape(s.o.ClientID), url.QueryEscape(s.o.ClientSecret)
	all := append(secret.Forms(s.o.ClientSecret), s.o.ClientSecret, refresh)
	all = append(all, secret.Forms(refresh)...)
	if s.o.ClientSecret != "" {
		all = append(all, base64.StdEncoding.EncodeToString([]byte(id+":"+escaped)),
			base64.StdEncoding.EncodeToString([]byte(s.o.ClientID+":"+s.o.ClientSecret)))
	}
	if s.at != nil {
		password, _ := s.at.User.Password()
		all = append(all, password, s.at.RawQuery)
	}
	return all
}
