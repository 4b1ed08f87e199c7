package credential

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Concealed stands where a secret of a header or a URL is. A recipient that is sent back with it keeps the secret.
const Concealed = "[redacted]"

// secretWords are the words that make the name of a header or of a query parameter that of a secret, wherever they stand in it.
func secretWords() []string {
	return []string{"token", "secret", "password", "passwd", "passphrase", "signature", "apikey", "accesskey", "credential", "credentials",
		"authorization", "authentication", "cookie", "jwt", "hmac", "key", "pwd"}
}

// secretNames are names of query parameters that are secrets as a whole.
func secretNames() []string { return []string{"sig", "code", "auth", "pass", "sas", "sign"} }

// SecretHeader reports whether the value of a header is a secret: one of those that are marked, or by its name, in any case:
// Authorization, Cookie, X-Api-Key and the like.
func SecretHeader(name string, marked ...string) bool {
	if slices.ContainsFunc(marked, func(m string) bool { return strings.EqualFold(m, name) }) {
		return true
	}
	words := wordsOf(name)
	return slices.ContainsFunc(words, isSecretWord) || slices.Equal(words, []string{"x", "auth"})
}

// SecretParameter reports whether the value of a query parameter is a secret by its name: token, key, sig, code and the like.
func SecretParameter(name string) bool {
	words := wordsOf(name)
	return slices.ContainsFunc(words, isSecretWord) || len(words) == 1 && slices.Contains(secretNames(), words[0])
}

// isSecretWord also knows words that are written together: `apitoken`, `subscriptionkey`.
func isSecretWord(word string) bool {
	for _, w := range secretWords() {
		if word == w || len(w) > 3 && strings.HasSuffix(word, w) || strings.HasSuffix(word, "key") && word != "monkey" {
			return true
		}
	}
	return false
}

// wordsOf are the words of a name in lower case: `X-Api-Key`, `accessToken` and `api_key` have a border where a word begins.
func wordsOf(name string) []string {
	var b strings.Builder
	before := ' '
	for _, r := range name {
		if unicode.IsUpper(r) && unicode.IsLower(before) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
		before = r
	}
	return strings.FieldsFunc(b.String(), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// ConcealURL is a URL with Concealed in place of its secrets: the password of a user, query parameters that SecretParameter names, and
// parts of the path that are long and random, as those of Slack and Teams are. The rest stays to the letter.
func ConcealURL(raw string) string {
	shown, _ := takeURLApart(raw)
	return shown
}

// URLSecrets are the secrets of a URL, as they are written in it and decoded.
func URLSecrets(raw string) []string {
	_, secrets := takeURLApart(raw)
	return secrets
}

func takeURLApart(raw string) (shown string, secrets []string) {
	conceal := func(s string) string {
		secrets = append(secrets, s)
		if plain, err := url.QueryUnescape(s); err == nil && plain != s {
			secrets = append(secrets, plain)
		}
		return Concealed
	}
	front, fragment, hasFragment := strings.Cut(raw, "#")
	front, query, hasQuery := strings.Cut(front, "?")
	scheme, rest, ok := strings.Cut(front, "://")
	if !ok {
		return raw, nil
	}
	authority, path, hasPath := strings.Cut(rest, "/")
	out := scheme + "://"
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		out, authority = out+conceal(authority[:i])+"@", authority[i+1:]
	}
	out += authority
	if hasPath {
		out += "/" + concealPath(strings.ToLower(authority), path, conceal)
	}
	if hasQuery {
		out += "?" + concealQuery(query, conceal)
	}
	if hasFragment {
		out += "#" + fragment
	}
	return out, secrets
}

// concealPath conceals the random segments of a path, and the last one where the host is known to take its secret there.
func concealPath(host, path string, conceal func(string) string) string {
	segments := strings.Split(path, "/")
	last := len(segments) - 1
	for last > 0 && segments[last] == "" {
		last--
	}
	for i, s := range segments {
		if s == "" || s == Concealed {
			continue
		}
		if random(s) || i == last && last > 0 && takesSecretInPath(host) {
			segments[i] = conceal(s)
		}
	}
	return strings.Join(segments, "/")
}

// takesSecretInPath reports whether the last part of a path is a secret at a host, whatever it looks like.
func takesSecretInPath(host string) bool {
	host, _, _ = strings.Cut(host, ":")
	switch host {
	case "hooks.slack.com", "hooks.slack-gov.com", "discord.com", "discordapp.com", "hooks.zapier.com", "maker.ifttt.com",
		"outlook.office.com", "hook.make.com":
		return true
	default:
		return strings.HasSuffix(host, ".webhook.office.com")
	}
}

func concealQuery(query string, conceal func(string) string) string {
	parts := strings.Split(query, "&")
	for i, p := range parts {
		name, value, ok := strings.Cut(p, "=")
		if !ok || value == "" || value == Concealed {
			continue
		}
		plain, err := url.QueryUnescape(name)
		if err != nil {
			plain = name
		}
		if SecretParameter(plain) || random(value) {
			parts[i] = name + "=" + conceal(value)
		}
	}
	return strings.Join(parts, "&")
}

const (
	// randomRun is how long letters and digits in a row are that no word has, randomAll how many there are in a text that also has
	// separators.
	randomRun, randomAll = 16, 24
	// randomDigits is how many digits it has at least.
	randomDigits = 2
)

// random reports whether a part of a URL looks as if it were made at random: a UUID, or a long run of letters and digits.
func random(s string) bool {
	if plain, err := url.PathUnescape(s); err == nil {
		s = plain
	}
	if regexp.MustCompile(`(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`).MatchString(s) {
		return true
	}
	for _, run := range strings.FieldsFunc(s, func(r rune) bool { return !alphanumeric(r) }) {
		if c := countIn(run); len(run) >= randomRun && c.digits >= randomDigits && c.upper+c.lower > 0 {
			return true
		}
	}
	c := countIn(s)
	return c.upper+c.lower+c.digits >= randomAll && c.upper >= 2 && c.lower >= 2 && c.digits >= randomDigits
}

func alphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// counted is how many characters of each kind a text has.
type counted struct{ upper, lower, digits int }

func countIn(s string) (c counted) {
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			c.digits++
		case r >= 'a' && r <= 'z':
			c.lower++
		case r >= 'A' && r <= 'Z':
			c.upper++
		}
	}
	return c
}
