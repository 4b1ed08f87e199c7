package rpc

import (
	"regexp"

	"buf.build/go/protovalidate"
)

// words says what a rule asks for, as people say it: callers show it beside the field.
func words(v *protovalidate.Violation) string {
	rule, text := v.Proto.GetRuleId(), v.Proto.GetMessage()
	if rule == "string.pattern" && v.RuleValue.IsValid() {
		if w, ok := patternWords()[v.RuleValue.String()]; ok {
			return w
		}
	}
	for _, p := range phrases() {
		if p.is.MatchString(text) {
			return p.is.ReplaceAllString(text, p.say)
		}
	}
	if text == "" {
		return "violates the rule " + rule
	}
	return text
}

type phrase struct {
	is  *regexp.Regexp
	say string
}

// phrases replace the library's sentences about numbers and lengths.
func phrases() []phrase {
	return []phrase{
		{between, "must be $1 to $2"},
		{none, "must not be empty"},
		{tooFew, "must have at least $1 items"},
		{tooMany, "must have at most $1 items"},
		{twice, "must not contain duplicates"},
	}
}

var (
	between = regexp.MustCompile(`^must be greater than or equal to (\S+) and less than or equal to (\S+)$`)
	none    = regexp.MustCompile(`^(must be at least 1 characters|must contain at least 1 item\(s\))$`)
	tooFew  = regexp.MustCompile(`^must contain at least (\d+) item\(s\)$`)
	tooMany = regexp.MustCompile(`^must contain no more than (\d+) item\(s\)$`)
	twice   = regexp.MustCompile(`^repeated value must contain unique items$`)
)

// patternWords are the patterns of the proto files. A test holds that none is missing.
func patternWords() map[string]string {
	return map[string]string{
		`^[^\x00-\x1f\x7f]*$`:                  "must be one line without control characters",
		`^[^:\x00-\x1f\x7f]*$`:                 "must be one line without colons and control characters",
		`^[\x20-\x7e]*$`:                       "must be one line of ASCII without control characters",
		`^[\x20-\x7e\t]*$`:                     "must be one line of ASCII without control characters",
		`^[\x21-\x7e]*$`:                       "must be ASCII without spaces and control characters",
		`^[^\x00-\x20\x7f]*$`:                  "must not contain spaces and control characters",
		`^[A-Za-z0-9._-]*$`:                    "must contain only letters, digits, . _ and -",
		`^[A-Za-z0-9.-]*$`:                     "must be a host name: only letters, digits, . and -",
		`^[A-Za-z0-9.:_-]*$`:                   "must be a host name or an IP address: only letters, digits and . : _ -",
		`^[A-Za-z0-9_-]{1,64}$`:                "must be 1 to 64 letters, digits, _ and -",
		"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$":  "must be a header name: 1 to 128 letters, digits and !#$%&'*+.^_`|~-",
		`^[a-z][a-z0-9_]{0,63}$`:               "must be 1 to 64 lower-case letters, digits and _, starting with a letter",
		`^[a-z][a-z0-9_.]{0,63}$`:              "must be 1 to 64 lower-case letters, digits, _ and ., starting with a letter",
		`^[a-z0-9]+([._@-][a-z0-9]+)*$`:        "must be lower-case letters and digits, with single . _ @ - between them",
		`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`: "must be 1 to 40 lower-case letters, digits and -, and must not start or end with -",
		`^([01][0-9]|2[0-3]):[0-5][0-9]$`:      "must be a time of day, HH:MM, e.g. 08:00",
	}
}
