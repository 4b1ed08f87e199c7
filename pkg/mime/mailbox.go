package mime

import (
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// maxAddress is the most bytes an address may have.
const maxAddress = 254

// Mailbox checks an address as a relay is told it, and returns it with its domain in ASCII (RFC 5891), which every relay takes; a local
// part beyond ASCII needs SMTPUTF8. Quoted local parts and address literals are refused: they are the way commands are smuggled into an
// envelope.
func Mailbox(address string) (string, error) {
	if len(address) > maxAddress {
		return "", fmt.Errorf("an address has more than %d bytes", maxAddress)
	}
	if !utf8.ValidString(address) || strings.ContainsFunc(address, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune(`"\<>()[],;:`, r)
	}) {
		return "", errors.New("an address holds characters that addresses do not have")
	}
	if a, err := netmail.ParseAddress(address); err != nil || a.Name != "" || a.Address != address {
		return "", errors.New("an address is not of the form name@domain")
	}
	local, domain, _ := strings.Cut(address, "@")
	if !ascii(domain) {
		var err error
		domain, err = idna.Lookup.ToASCII(domain)
		// Characters that IDNA leaves out, e.g. a soft hyphen, may have been all that there was of a label.
		if a, wrong := netmail.ParseAddress("a@" + domain); err != nil || wrong != nil || a.Address != "a@"+domain {
			return "", errors.New("an address has no usable domain")
		}
	}
	return local + "@" + domain, nil
}
