// Package preview shows what a delivery is sent as, in the messages of the API. It writes with the code of the senders and opens no
// secret. It knows the channels, so that the services that show a delivery need not.
package preview

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Options say for which sending a delivery is shown.
type Options struct {
	// Version is that of the sender.
	Version string
	// At is when it is sent.
	At time.Time
	// Sent says that At is when an attempt was made.
	Sent bool
}

// Words are how people are told of a preview.
type Words struct {
	// Noun is what the channel sends, such as `request`.
	Noun string
	// Current says what in a preview of a past attempt is from the settings of now.
	Current string
}

// renderer is what this package knows of a channel. render returns the message that the API's field of the channel's name has.
type renderer struct {
	words  Words
	render func(d *delivery.Delivery, s *settings.Settings, o Options) (proto.Message, error)
}

func renderers() map[recipient.Channel]renderer {
	return map[recipient.Channel]renderer{
		recipient.HTTP:  {Words{"request", "custom fields are current values"}, request},
		recipient.Email: {Words{"email", "shared settings, such as the sender address, are current values"}, email},
	}
}

// WordsOf returns the words for a recipient's channel.
func WordsOf(r *recipient.Recipient) Words {
	if c, ok := renderers()[r.Channel()]; ok {
		return c.words
	}
	return Words{Noun: "message", Current: "settings are current values"}
}

// Into renders a delivery and sets the field of a message that has the name of the recipient's channel. Options.At and the settings
// decide, apart from the delivery. On an error it sets nothing; the error says what is wrong with the recipient.
func Into(to proto.Message, d *delivery.Delivery, s *settings.Settings, o Options) error {
	channel := d.Recipient.Channel()
	c, known := renderers()[channel]
	field := to.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(channel))
	if !known || field == nil {
		return fmt.Errorf("recipient %s is of the channel %s, which has no preview", d.Recipient.ID, channel)
	}
	rendered, err := c.render(d, s, o)
	if err != nil {
		return err
	}
	to.ProtoReflect().Set(field, protoreflect.ValueOfMessage(rendered.ProtoReflect()))
	return nil
}

// request renders the request to an HTTP recipient.
func request(d *delivery.Delivery, s *settings.Settings, o Options) (proto.Message, error) {
	p, err := render.PreviewHTTP(d.Recipient, d.Event, render.PreviewOptions{
		UserAgent: "Outbound/" + o.Version, Custom: s.CustomFields, At: o.At, Sent: o.Sent, Test: d.Test,
	})
	if err != nil {
		return nil, err
	}
	return &outboundv1.HttpPreview{Method: p.Method, Url: p.URL, Headers: headers(p.Headers), Body: text(string(p.Body))}, nil
}

func headers(in []render.Header) []*outboundv1.Header {
	out := make([]*outboundv1.Header, len(in))
	for i, h := range in {
		out[i] = &outboundv1.Header{Name: h.Name, Value: text(h.Value)}
	}
	return out
}

// text replaces what is not UTF-8, which a protobuf string must be.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
