package smtptest

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // CRAM-MD5 is made of it
	"encoding/hex"
	"strings"

	"github.com/emersion/go-smtp"
)

// loginServer is the server's side of LOGIN.
type loginServer struct {
	check    func(username, password string) error
	username *string
	asked    bool
}

// Next asks for the user name, then for the password.
func (a *loginServer) Next(response []byte) ([]byte, bool, error) {
	switch {
	case response == nil && !a.asked:
		a.asked = true
		return []byte("Username:"), false, nil
	case a.username == nil:
		name := string(response)
		a.username = &name
		return []byte("Password:"), false, nil
	default:
		return nil, true, a.check(*a.username, string(response))
	}
}

// cramServer is the server's side of CRAM-MD5.
type cramServer struct {
	password string
	check    func(username, password string) error
	asked    bool
}

const challenge = "<1896.697170952@relay.test>"

// Next sends the challenge, then checks the digest.
func (a *cramServer) Next(response []byte) ([]byte, bool, error) {
	if !a.asked {
		a.asked = true
		return []byte(challenge), false, nil
	}
	username, digest, _ := strings.Cut(string(response), " ")
	mac := hmac.New(md5.New, []byte(a.password))
	mac.Write([]byte(challenge))
	if digest != hex.EncodeToString(mac.Sum(nil)) {
		return nil, true, smtp.ErrAuthFailed
	}
	return nil, true, a.check(username, a.password)
}

// tokenServer is the server's side of XOAUTH2. A refused token is explained in a challenge first, as real servers do.
type tokenServer struct {
	check   func(username, password string) error
	refused bool
}

// Next checks the token.
func (a *tokenServer) Next(response []byte) ([]byte, bool, error) {
	if a.refused {
		return nil, true, smtp.ErrAuthFailed
	}
	var username, token string
	for _, field := range strings.Split(string(response), "\x01") {
		if v, ok := strings.CutPrefix(field, "user="); ok {
			username = v
		}
		if v, ok := strings.CutPrefix(field, "auth=Bearer "); ok {
			token = v
		}
	}
	if a.refused = a.check(username, token) != nil; a.refused {
		return []byte(`{"status":"400"}`), false, nil
	}
	return nil, true, nil
}
