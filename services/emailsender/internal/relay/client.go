package relay

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"slices"
	"strings"

	"github.com/wneessen/go-mail/smtp"

	"github.com/outbound-events/outbound/pkg/secret"
)

// client speaks SMTP (RFC 5321) on a connection. Keywords are read in any case (RFC 5321 2.4), and replies as leniently as they can be
// read without doubt.
type client struct {
	in  *bufio.Reader
	out *bufio.Writer
	// hide masks what we sign in with in replies, which may repeat it.
	hide *secret.Masker
	// offers are the keywords of the reply to EHLO in upper case, each with its parameters; nil after HELO.
	offers map[string][]string
}

func newClient(c io.ReadWriter, hide *secret.Masker) *client {
	return &client{in: bufio.NewReader(c), out: bufio.NewWriter(c), hide: hide}
}

// textError is a line of the relay where a reply was due.
type textError struct{ line string }

// maxShown is how much of what is no reply is shown, in bytes.
const maxShown = 60

// Error shows the beginning of the line.
func (e *textError) Error() string {
	if len(e.line) > maxShown {
		return fmt.Sprintf("%q…", e.line[:maxShown])
	}
	return fmt.Sprintf("%q", e.line)
}

// reply reads one reply: its code, and its text without the codes, a line each. Of several lines the last has the code.
func (c *client) reply() (code int, text string, err error) {
	var lines []string
	for {
		raw, err := c.in.ReadString('\n')
		if err != nil {
			if raw != "" && errors.Is(err, io.EOF) {
				err = &textError{string(c.hide.MaskCut([]byte(raw)))}
			}
			return 0, "", err
		}
		line := strings.TrimRight(raw, "\r\n")
		read, rest, more, ok := codeLine(line)
		if !ok && len(lines) == 0 {
			return 0, "", &textError{c.hide.Mask(line)}
		}
		if !ok {
			rest, more = line, true // a line without code in the middle of a reply
		}
		lines = append(lines, rest)
		if !more {
			text = strings.Join(lines, "\n")
			if read != codeChallenge {
				text = c.hide.Mask(text)
			}
			return read, text, nil
		}
	}
}

// codeChallenge is the reply that asks for the next step of signing in (RFC 4954, 4). It is for us alone.
const codeChallenge = 334

// codeLine takes a line of a reply apart. The last line of a reply may have no text, and then no space either (RFC 5321 4.2).
func codeLine(line string) (code int, text string, more, ok bool) {
	if len(line) < 3 || line[0] < '1' || line[0] > '5' {
		return 0, "", false, false
	}
	for _, d := range line[:3] {
		if d < '0' || d > '9' {
			return 0, "", false, false
		}
		code = code*10 + int(d-'0')
	}
	if len(line) == 3 {
		return code, "", false, true
	}
	if line[3] != ' ' && line[3] != '-' && line[3] != '\t' {
		return 0, "", false, false
	}
	return code, line[4:], line[3] == '-', true
}

// expect reads a reply of a class: 2 for one that is positive. Any other is a *textproto.Error.
func (c *client) expect(class int) (string, error) {
	code, text, err := c.reply()
	if err == nil && code/100 != class {
		err = &textproto.Error{Code: code, Msg: text}
	}
	return text, err
}

// say sends a line.
func (c *client) say(line string) error {
	if strings.ContainsAny(line, "\r\n") {
		return errors.New("a command has a line break")
	}
	if _, err := c.out.WriteString(line + "\r\n"); err != nil {
		return err
	}
	return c.out.Flush()
}

// command sends a command and expects a class of reply.
func (c *client) command(class int, line string) (string, error) {
	if err := c.say(line); err != nil {
		return "", c.lastWords(err)
	}
	return c.expect(class)
}

// lastWords is what the relay said before it closed the connection, if it said anything: it explains the error of a write.
func (c *client) lastWords(err error) error {
	if code, text, e := c.reply(); e == nil && code >= 400 {
		return &textproto.Error{Code: code, Msg: text}
	}
	return err
}

// hello introduces us: by EHLO, or by HELO if the relay refuses that.
func (c *client) hello(name string) error {
	text, err := c.command(2, "EHLO "+name)
	var refused *textproto.Error
	if errors.As(err, &refused) && refused.Code >= 500 {
		if _, again := c.command(2, "HELO "+name); again != nil {
			return err
		}
		c.offers = nil
		return nil
	}
	if err != nil {
		return err
	}
	c.offers = offersOf(text)
	return nil
}

// offersOf reads the reply to EHLO: the first line greets, each other one has a keyword and its parameters, in any case. Some relays
// write the parameters of AUTH behind an equals sign, as well as or instead of the standard way.
func offersOf(text string) map[string][]string {
	offers := map[string][]string{}
	lines := strings.Split(text, "\n")
	for _, line := range lines[1:] {
		words := strings.Fields(strings.ToUpper(line))
		if len(words) == 0 {
			continue
		}
		keyword, first, equals := strings.Cut(words[0], "=")
		if equals && first != "" {
			words = append([]string{keyword, first}, words[1:]...)
		}
		for _, p := range append([]string{}, words[1:]...) {
			if !slices.Contains(offers[keyword], p) {
				offers[keyword] = append(offers[keyword], p)
			}
		}
		if offers[keyword] == nil {
			offers[keyword] = []string{}
		}
	}
	return offers
}

// offered reports whether the relay offers an extension, and its parameters, in upper case.
func (c *client) offered(keyword string) (parameters []string, ok bool) {
	parameters, ok = c.offers[keyword]
	return parameters, ok
}

// auth signs in by a mechanism (RFC 4954).
func (c *client) auth(how smtp.Auth, server *smtp.ServerInfo) error {
	mechanism, first, err := how.Start(server)
	if err != nil {
		return err
	}
	line := "AUTH " + mechanism
	if first != nil {
		line += " " + initial(first)
	}
	for {
		if err := c.say(line); err != nil {
			return c.lastWords(err)
		}
		code, text, err := c.reply()
		switch {
		case err != nil:
			return err
		case code/100 == 2:
			return nil
		case code != codeChallenge:
			return &textproto.Error{Code: code, Msg: text}
		}
		challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil {
			challenge = []byte(text) // LOGIN of some relays asks in the clear
		}
		answer, err := how.Next(challenge, true)
		if err != nil {
			return fmt.Errorf("answer the relay's challenge: %w", err)
		}
		line = base64.StdEncoding.EncodeToString(answer)
	}
}

// initial is an initial response; an empty one is an equals sign.
func initial(response []byte) string {
	if len(response) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(response)
}

// mail begins a mail.
func (c *client) mail(m Mail) error {
	line := "MAIL FROM:<" + m.From + ">"
	if _, ok := c.offered("8BITMIME"); ok {
		line += " BODY=8BITMIME"
	}
	if m.UTF8 {
		line += " SMTPUTF8"
	}
	_, err := c.command(2, line)
	return err
}

// block is how much of a mail is sent within one time limit, in bytes.
const block = 64 << 10

// send sends a mail's data, dots stuffed, without its end; each is called before each block.
func (c *client) send(data []byte, each func()) (end func() error, err error) {
	w := textproto.NewWriter(c.out).DotWriter()
	for len(data) > 0 {
		each()
		n := min(block, len(data))
		if _, err := w.Write(data[:n]); err != nil {
			return nil, c.lastWords(err)
		}
		data = data[n:]
	}
	return func() error {
		if err := w.Close(); err != nil {
			return c.lastWords(err)
		}
		_, err := c.expect(2)
		return err
	}, nil
}
