package relay

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/outbound-events/outbound/pkg/delivery"
)

// status is an enhanced status code (RFC 3463): its subject and detail. The class is the first digit of the reply's code.
type status struct{ subject, detail int }

// The subjects of RFC 3463.
const (
	subjectOther    = 0
	subjectAddress  = 1
	subjectMailbox  = 2
	subjectSystem   = 3
	subjectNetwork  = 4
	subjectProtocol = 5
	subjectContent  = 6
	subjectSecurity = 7
)

var (
	// A code stands at the beginning of the text, or at its end in parentheses with a number sign, as qmail writes it.
	codeFirst = regexp.MustCompile(`^[245]\.(\d{1,3})\.(\d{1,3})(?:\s|$)`)
	codeLast  = regexp.MustCompile(`\(#[245]\.(\d{1,3})\.(\d{1,3})\)\s*$`)
)

// statusOf reads the enhanced status code of a reply; ok is false if it has none.
func statusOf(text string) (s status, ok bool) {
	found := codeFirst.FindStringSubmatch(text)
	if found == nil {
		found = codeLast.FindStringSubmatch(text)
	}
	if found == nil {
		return s, false
	}
	s.subject, _ = strconv.Atoi(found[1])
	s.detail, _ = strconv.Atoi(found[2])
	return s, true
}

// ofAddress reports whether a refusal after MAIL is about the one address, or the one mail, and nothing else. All other refusals are
// about us (who we are, what we may do, what we said) or about the relay itself: an operator can mend them, so they are never held
// against an address. RFC 3463 decides; without an enhanced status code, or with one that says nothing, the reply's code does, and words
// that name us.
func (f *Failure) ofAddress() bool {
	s, ok := statusOf(f.Reply)
	switch {
	case !ok || s.subject == subjectOther:
		return f.ofAddressByCode()
	case f.Code == codeNoMail:
		return false
	}
	switch s.subject {
	case subjectAddress:
		switch s.detail {
		case 0:
			return !namesUs(f.Reply)
		case 7, 8: // the sender's address
			return false
		default:
			return true
		}
	case subjectMailbox, subjectContent:
		return true
	case subjectSystem:
		return s.detail == 4 // the message is too big
	case subjectNetwork:
		return s.detail != 2 && s.detail != 3 && s.detail != 5 // the connection, a directory, congestion
	case subjectSecurity:
		return f.Code < 500 && greylists(f.Reply)
	default: // subjectProtocol, and what RFC 3463 does not have
		return false
	}
}

// codeNoMail is the reply of a host that takes no mail at all (RFC 7504).
const codeNoMail = 521

// ofAddressByCode decides by the reply's code: RFC 5321 4.2.3 has these for a mailbox, and at the end of the data for the mail.
func (f *Failure) ofAddressByCode() bool {
	switch f.Code {
	case 450, 451, 452:
		return true // it is tried again in any case
	case 550, 551, 552, 553, 556:
		return !namesUs(f.Reply)
	case 554:
		return f.Step != StepRcpt && !namesUs(f.Reply)
	default:
		return false
	}
}

// namesUs reports whether a refusal names what is ours: the right to relay, our name, host or sender. Such words are looked for where
// no code tells, because a refusal for good in error loses a mail, and a retry in error does not.
func namesUs(reply string) bool {
	return contains(reply, "relay", "rcpthosts", "helo", "ehlo", "authenticat", "sender", "client host", "your host", "your ip", "blocked",
		"blacklist", "blocklist", "dnsbl", "not permitted", "not authori")
}

// greylists reports whether a reply puts off an address that is seen for the first time. Some relays call that security.
func greylists(reply string) bool {
	return contains(reply, "greylist", "graylist", "grey list", "gray list")
}

func contains(reply string, words ...string) bool {
	reply = strings.ToLower(reply)
	for _, w := range words {
		if strings.Contains(reply, w) {
			return true
		}
	}
	return false
}

// ofConnection reports whether the same mail may be taken over a new connection: the relay may limit what one connection carries, or has
// closed it. It is asked of connections alone that have carried mails. After the data was sent, only an answer shows that the relay does
// not have the mail.
func (f *Failure) ofConnection() bool {
	if f.Fault == delivery.FaultCut {
		return f.Step != StepEnd
	}
	if f.Fault != delivery.FaultNone || !f.Step.ofMail() {
		return false
	}
	s, ok := statusOf(f.Reply)
	switch {
	case f.unsupported:
		return false
	case f.Code == codeClosing, f.Step == StepMail, f.Code == codeSequence, ok && s.subject == subjectProtocol:
		return true
	case f.Code >= 500:
		return false
	default:
		return !ok || s.subject != subjectAddress && s.subject != subjectMailbox
	}
}

// codeSequence is the reply to a command that is out of sequence.
const codeSequence = 503
