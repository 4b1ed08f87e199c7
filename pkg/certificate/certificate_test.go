package certificate_test

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/outbound-events/outbound/pkg/certificate"
	"github.com/outbound-events/outbound/pkg/certtest"
)

// pair is a self-signed certificate with its key, in PEM and in DER.
type pair struct {
	pem, key    string
	der, keyDER []byte
}

func newPair(t *testing.T, name string) pair {
	t.Helper()
	p := certtest.Authority(t, name)
	return pair{pem: p.PEM, der: p.Cert.Raw, key: p.KeyPEM, keyDER: p.KeyDER}
}

func armour(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

// openssl runs openssl in a folder with the pair in cert.pem and key.pem, and returns what it wrote to out.
func openssl(t *testing.T, p pair, args string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"cert.pem": p.pem, "key.pem": p.key} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "openssl", strings.Fields(args)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl %s: %v\n%s", args, err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wide(text string, big bool) string {
	var b []byte
	for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
		if big {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return string(b)
}

// TestEverySpellingIsReadInFull reads two certificates, a and b, in the forms that people have them in.
func TestEverySpellingIsReadInFull(t *testing.T) {
	a, b := newPair(t, "a"), newPair(t, "b")
	both := a.pem + b.pem
	one := strings.TrimSpace
	oneLine := func(s string) string { return strings.ReplaceAll(one(s), "\n", " ") }
	indent := func(s string) string { return "  " + strings.ReplaceAll(s, "\n", "  \n\t ") }
	relabel := func(s, label string) string { return strings.ReplaceAll(s, "CERTIFICATE", label) }
	p7 := string(openssl(t, a, "crl2pkcs7 -nocrl -certfile cert.pem -out out"))
	for name, text := range map[string]string{
		"as openssl writes it":        both,
		"byte-order mark":             "\ufeff" + both,
		"a byte-order mark each":      "\ufeff" + a.pem + "\ufeff" + b.pem,
		"CRLF":                        strings.ReplaceAll(both, "\n", "\r\n"),
		"CR alone":                    strings.ReplaceAll(both, "\n", "\r"),
		"UTF-16, little endian":       wide(both, false),
		"UTF-16, big endian":          wide(strings.ReplaceAll(both, "\n", "\r\n"), true),
		"UTF-16 without a mark":       wide(both, false)[2:],
		"text behind END":             one(a.pem) + " # first\n" + one(b.pem) + " the second one\nregards",
		"text between":                "Bag Attributes\n    friendlyName: a\n" + a.pem + "subject=CN = b\n" + b.pem,
		"joined lines":                one(a.pem) + one(b.pem),
		"one line":                    oneLine(both),
		"one line, without blanks":    strings.ReplaceAll(strings.ReplaceAll(both, "\n", ""), "BEGINCERT", "BEGIN CERT"),
		"line ends as backslash n":    strings.ReplaceAll(both, "\n", `\n`),
		"indented, blanks at the end": indent(both),
		"empty lines within":          strings.ReplaceAll(both, "\n", "\n\n"),
		"no-break spaces":             strings.ReplaceAll(both, "\n", "\u00a0\n"),
		"lines of any length":         strings.ReplaceAll(both, "x", "x\n"),
		"dashes of a word processor":  strings.ReplaceAll(both, "-----", "—–"),
		"too few hyphens":             strings.ReplaceAll(both, "-----\n", "----\n"),
		"X509 CERTIFICATE":            relabel(both, "X509 CERTIFICATE"),
		"TRUSTED CERTIFICATE":         string(openssl(t, a, "x509 -in cert.pem -trustout -setalias hello -out out")) + b.pem,
		"trusted for servers":         string(openssl(t, a, "x509 -in cert.pem -trustout -addtrust serverAuth -out out")) + b.pem,
		"PKCS#7 in PEM":               p7 + b.pem,
		"PKCS#7 labelled CMS":         strings.ReplaceAll(p7, "PKCS7", "CMS") + b.pem,
		"DER":                         string(a.der) + string(b.der),
		"DER with a line end":         string(a.der) + "\n" + string(b.der) + "\n",
		"DER in PEM, two in a block":  armour("CERTIFICATE", append(append([]byte{}, a.der...), b.der...)),
		"base64 alone":                base64.StdEncoding.EncodeToString(append(append([]byte{}, a.der...), b.der...)),
		"openssl -text":               string(openssl(t, a, "x509 -in cert.pem -text -out out")) + b.pem,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := certificate.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 2 || got[0].Subject.CommonName != "a" || got[1].Subject.CommonName != "b" {
				t.Errorf("read %d certificates", len(got))
			}
			// What files hold goes through the API as text.
			carried, err := certificate.Text([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if again, err := certificate.Parse(carried); err != nil || len(again) != 2 {
				t.Errorf("read %d certificates of the text (%v)", len(again), err)
			}
		})
	}
	store := openssl(t, a, "crl2pkcs7 -nocrl -certfile cert.pem -certfile cert.pem -outform DER -out out")
	if got, err := certificate.Parse(string(store)); err != nil || len(got) == 0 {
		t.Errorf("PKCS#7 in DER: %d certificates (%v)", len(got), err)
	}
}

// TestWhatIsNotReadIsRefusedByName checks that nothing is passed over: the reason, and the command that converts it.
func TestWhatIsNotReadIsRefusedByName(t *testing.T) {
	a, b := newPair(t, "a"), newPair(t, "b")
	lines := strings.SplitAfter(b.pem, "\n")
	negative := negativeSerial(t, a)
	requestDER := string(openssl(t, a, "req -new -key key.pem -subj /CN=x -outform DER -out out"))
	p12 := string(openssl(t, a, "pkcs12 -export -in cert.pem -inkey key.pem -passout pass:x -out out"))
	for name, c := range map[string]struct{ text, words string }{
		"empty":                    {"  \n", "contains no PEM certificate"},
		"prose":                    {"the certificate is attached", "contains no PEM certificate"},
		"a key beside":             {a.pem + a.key, "never a key"},
		"a key alone, in DER":      {string(a.keyDER), "never a key"},
		"an encrypted key":         {a.pem + string(openssl(t, a, "pkcs8 -topk8 -in key.pem -passout pass:x -out out")), "never a key"},
		"a request":                {string(openssl(t, a, "req -new -key key.pem -subj /CN=x -out out")), "certificate signing request (line 1)"},
		"a request in DER":         {requestDER, "certificate signing request"},
		"a request, other label":   {relabelled(openssl(t, a, "req -new -key key.pem -subj /CN=x -out out")), "certificate signing request"},
		"PKCS#12":                  {p12, "openssl pkcs12 -in"},
		"a public key":             {string(openssl(t, a, "pkey -in key.pem -pubout -out out")), "public key"},
		"a keystore of Java":       {"\xfe\xed\xfe\xed\x00\x00\x00\x02aaaaaaaaaaaa", "keytool"},
		"parameters":               {a.pem + string(openssl(t, a, "ecparam -name prime256v1 -out out")), `"EC PARAMETERS"`},
		"rejected for servers":     {string(openssl(t, a, "x509 -in cert.pem -trustout -addreject serverAuth -out out")), "-clrreject"},
		"trusted for mail alone":   {string(openssl(t, a, "x509 -in cert.pem -trustout -addtrust emailProtection -out out")), "-clrtrust"},
		"the second cut":           {a.pem + b.pem[:len(b.pem)/2], "no END line for the CERTIFICATE that begins at line"},
		"END of the first missing": {strings.Replace(a.pem, "-----END CERTIFICATE-----", "", 1) + b.pem, "no END line"},
		"BEGIN missing":            {a.pem + strings.Join(lines[1:], ""), "without its lines"},
		"BEGIN and END missing":    {a.pem + strings.Join(lines[1:len(lines)-2], ""), "without its lines"},
		"BEGIN without hyphens":    {a.pem + strings.Replace(b.pem, "-----BEGIN CERTIFICATE-----", "BEGIN CERTIFICATE", 1), "without its lines"},
		"small letters":            {a.pem + strings.ToLower(b.pem), "without its lines"},
		"a line missing":           {a.pem + lines[0] + strings.Join(lines[2:], ""), "certificate 2"},
		"a character changed":      {a.pem + strings.Replace(b.pem, "\nMI", "\nM!", 1), "not base64"},
		"nothing within":           {a.pem + "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "is empty"},
		"DER read as text":         {strings.ToValidUTF8(string(a.der), "\ufffd"), "openssl x509 -inform DER"},
		"DER cut":                  {string(a.der[:len(a.der)-9]), "cut off"},
		"a picture":                {"\x89PNG\r\n\x1a\n\x00\x00", "openssl x509 -inform DER"},
		"PKCS#7 in BER":            {"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80\x30\x80", "openssl pkcs7"},
		"a negative serial":        {a.pem + negative, "certificate 2 (line "},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := certificate.Parse(c.text)
			if err == nil {
				t.Fatalf("read %d certificates", len(got))
			}
			if !strings.Contains(err.Error(), c.words) {
				t.Errorf("said %q, want words like %q", err, c.words)
			}
		})
	}
	if _, err := certificate.Parse(negative); err == nil || !strings.Contains(err.Error(), "negative serial number") {
		t.Errorf("a negative serial: %v", err)
	}
}

func relabelled(request []byte) string {
	return strings.ReplaceAll(string(request), "CERTIFICATE REQUEST", "CERTIFICATE")
}

// negativeSerial is a certificate whose serial number, 1, is made -1 (its signature no longer holds, which nobody looks at).
func negativeSerial(t *testing.T, p pair) string {
	t.Helper()
	at := strings.Index(string(p.der), "\xa0\x03\x02\x01\x02\x02\x01\x01")
	if at < 0 {
		t.Fatal("the certificate has another form")
	}
	der := append([]byte{}, p.der...)
	der[at+7] = 0xff
	return armour("CERTIFICATE", der)
}

func TestPair(t *testing.T) {
	a, b := newPair(t, "a"), newPair(t, "b")
	p12 := string(openssl(t, a, "pkcs12 -export -in cert.pem -inkey key.pem -passout pass:x -out out"))
	sec1 := string(openssl(t, a, "ec -in key.pem -out out"))
	for name, c := range map[string]struct{ chain, key, words string }{
		"PEM":                    {a.pem, a.key, ""},
		"DER":                    {string(a.der), string(a.keyDER), ""},
		"CR, a mark":             {strings.ReplaceAll("\ufeff"+a.pem, "\n", "\r"), strings.ReplaceAll("\ufeff"+a.key, "\n", "\r"), ""},
		"UTF-16":                 {wide(a.pem, false), wide(a.key, true), ""},
		"SEC 1":                  {a.pem, sec1, ""},
		"parameters before":      {a.pem, string(openssl(t, a, "ecparam -name prime256v1 -out out")) + sec1, ""},
		"the certificate beside": {a.pem, a.pem + a.key, ""},
		"another's":              {a.pem, b.key, "does not match the certificate"},
		"two keys":               {a.pem, a.key + b.key, "two private keys"},
		"encrypted": {a.pem, string(openssl(t, a, "pkcs8 -topk8 -in key.pem -passout pass:x -out out")),
			"passphrase: remove it (openssl pkey"},
		"encrypted, DER":          {a.pem, string(openssl(t, a, "pkcs8 -topk8 -in key.pem -passout pass:x -outform DER -out out")), "passphrase"},
		"encrypted, as of old":    {a.pem, string(openssl(t, a, "ec -in key.pem -aes128 -passout pass:x -out out")), "passphrase"},
		"PKCS#12":                 {a.pem, p12, "-nocerts"},
		"a certificate":           {a.pem, a.pem, "no PEM private key"},
		"OpenSSH":                 {a.pem, armour("OPENSSH PRIVATE KEY", a.keyDER), "ssh-keygen -p -m PKCS8"},
		"cut":                     {a.pem, a.key[:len(a.key)/2], "no END line"},
		"nothing":                 {a.pem, "", "no PEM private key"},
		"nonsense under its name": {a.pem, armour("PRIVATE KEY", []byte("hello")), "is not valid"},
	} {
		t.Run(name, func(t *testing.T) {
			chain, key := carried(t, c.chain), carried(t, c.key)
			got, err := certificate.Pair(chain, key)
			switch {
			case c.words == "" && err != nil:
				t.Error(err)
			case c.words == "" && got.Leaf.Subject.CommonName != "a":
				t.Errorf("read %s", got.Leaf.Subject)
			case c.words != "" && (err == nil || !strings.Contains(err.Error(), c.words)):
				t.Errorf("said %v, want words like %q", err, c.words)
			case err != nil && strings.Contains(fmt.Sprint(err), base64.StdEncoding.EncodeToString(a.keyDER)[20:40]):
				t.Error("the error tells the key")
			}
		})
	}
}

// carried is the content of a file as it comes through the API; what it can't carry is passed on as it is.
func carried(t *testing.T, content string) string {
	t.Helper()
	text, err := certificate.Text([]byte(content))
	if err != nil {
		return content
	}
	return text
}
