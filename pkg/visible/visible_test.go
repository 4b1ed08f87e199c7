package visible_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/outbound-events/outbound/pkg/visible"
)

func TestInvisibleCharactersAreNamed(t *testing.T) {
	tried := 0
	for _, table := range []*unicode.RangeTable{
		unicode.Bidi_Control, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Variation_Selector,
	} {
		each(table, func(r rune) {
			tried++
			for _, name := range []string{"a" + string(r) + "b", string(r), "ab" + string(r)} {
				if why := visible.Fault(name); !strings.Contains(why, "U+") {
					t.Errorf("%U in %q: %q", r, name, why)
				}
			}
		})
	}
	if tried < 400 {
		t.Errorf("tried %d characters", tried)
	}
	if why := visible.Fault("pay\u202Emoc"); why != "has a character that changes the direction of text, U+202E, at character 4: remove it" {
		t.Errorf("got %q", why)
	}
}

func each(table *unicode.RangeTable, f func(r rune)) {
	for _, x := range table.R16 {
		for r := rune(x.Lo); r <= rune(x.Hi); r += rune(x.Stride) {
			f(r)
		}
	}
	for _, x := range table.R32 {
		for r := rune(x.Lo); r <= rune(x.Hi); r += rune(x.Stride) {
			f(r)
		}
	}
}

func TestNamesOfAllScriptsAreFine(t *testing.T) {
	for _, name := range []string{
		"", "CRM", "Ünïté d’Été", "支持系统", "دعم العملاء", "תמיכה", "สนับสนุน", "ग्राहक सहायता", "⚠️ Alerts",
		"👩‍💻 on call", "a\u00a0b",
	} {
		if why := visible.Fault(name); why != "" {
			t.Errorf("%q %s", name, why)
		}
	}
}
