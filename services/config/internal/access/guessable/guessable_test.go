package guessable_test

import (
	"strings"
	"testing"

	"github.com/outbound-events/outbound/services/config/internal/access/guessable"
)

func TestCommonPasswordsAndWhatIsMadeOfThemAreGuessable(t *testing.T) {
	l := guessable.New()
	for _, p := range []string{
		"password1234", "Password1234", "P@ssw0rd1234", "p4$$w0rd!!!!", "1234password", "!!password!!", "passwordpassword", "PasswordPassword1",
		"qwertyuiop12", "qwertyuiop[]", "1qaz2wsx3edc", "123456789012", "987654321098", "abcdefghijkl", "abcdabcdabcd", "aaaaaaaaaaaa",
		"aaaabbbbcccc", "letmeinletmein", "iloveyou2024!", "Summer2026!!", "winter-2026!", "football1234", "adminadmin123", "welcome12345",
		"administrator", "changeme1234", "dragonmonkey", "trustno1trustno1", "zxcvbnm12345", "asdfghjkl;'1", "mustang19671", "000000000000",
		"password 123", "pass-word-12", "poiuytrewq09", "baseball!!!!", "superman9876", "1q2w3e4r5t6y", "qazwsxedcrfv",
	} {
		if l.Why(p) == "" {
			t.Errorf("%q is accepted", p)
		}
	}
	for _, p := range []string{
		"outbound1234", "Outb0und2026", "outboundoutbound", "ada.lovelace1", "lovelace2026", "L0velace!!!!", "adaada123456",
	} {
		if l.Why(p, "outbound", "ada.lovelace", "Ada Lovelace") == "" {
			t.Errorf("%q of ada.lovelace is accepted", p)
		}
	}
}

func TestOtherPasswordsAreNotGuessable(t *testing.T) {
	l := guessable.New()
	for _, p := range []string{
		"correct horse battery", "a new password", "kT9#vLq2$mZx", "blue whale sings twice", "Grünkohl mit Pinkel", "今日は良い天気ですね散歩しよう",
		"x7Qw-p2Lm-99Zt", "the admin of the rack", "outbound goes the long way", strings.Repeat("xy7!", 4) + "horse tail",
	} {
		if why := l.Why(p, "outbound", "ada"); why != "" {
			t.Errorf("%q %s", p, why)
		}
	}
}

func TestALongPasswordTakesNoTime(t *testing.T) {
	l := guessable.New()
	for _, p := range []string{strings.Repeat("ab1!", 64), strings.Repeat("qwertz", 42), strings.Repeat("$", 256), strings.Repeat("ü", 256)} {
		n := testing.AllocsPerRun(1, func() { l.Why(p, "outbound", "ada") })
		if n > 200_000 {
			t.Errorf("%d characters take %v allocations", len(p), n)
		}
	}
}
