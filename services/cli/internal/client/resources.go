package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// AllRecipients returns the recipients of all pages.
func (c *Client) AllRecipients(ctx context.Context) (*outboundv1.ListRecipientsResponse, error) {
	all := &outboundv1.ListRecipientsResponse{}
	for token := ""; ; {
		page := &outboundv1.ListRecipientsResponse{}
		query := url.Values{"pageSize": {"1000"}, "pageToken": {token}}
		if err := c.Call(ctx, http.MethodGet, "/v1/recipients?"+query.Encode(), nil, page); err != nil {
			return nil, err
		}
		all.Recipients = append(all.Recipients, page.GetRecipients()...)
		all.TotalSize = page.GetTotalSize()
		if token = page.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

// RecipientPath is the path of a recipient.
func RecipientPath(id string) string { return "/v1/recipients/" + url.PathEscape(id) }

// Patch changes the fields of a mask.
func (c *Client) Patch(ctx context.Context, path string, want proto.Message, mask []string, saved proto.Message) error {
	query := url.Values{"updateMask": {strings.Join(mask, ",")}}
	return c.Call(ctx, http.MethodPatch, path+"?"+query.Encode(), want, saved)
}

// AppliancePath is the path of an appliance.
func AppliancePath(id string) string { return "/v1/appliances/" + url.PathEscape(id) }

// Publish sends an event as it is.
func (c *Client) Publish(ctx context.Context, raw []byte) (*outboundv1.PublishEventResponse, error) {
	answer, err := c.send(ctx, http.MethodPost, "/v1/events", raw)
	if err != nil {
		return nil, err
	}
	resp := &outboundv1.PublishEventResponse{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(answer, resp); err != nil {
		return nil, fmt.Errorf("read the response to the event: %w", err)
	}
	return resp, nil
}
