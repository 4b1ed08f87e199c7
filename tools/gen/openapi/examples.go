package main

import (
	"encoding/base64"
	"fmt"
)

// example is what goes in and comes out of an operation; either may be absent.
type example struct{ request, answer any }

// addExamples puts an example beside the schema of each operation that has one. A test holds them against the schemas.
func addExamples(doc object) error {
	all, err := operations(doc)
	if err != nil {
		return err
	}
	byID := map[string]object{}
	for _, op := range all {
		id, _ := op.object["operationId"].(string)
		byID[id] = op.object
	}
	for id, x := range examples() {
		op, ok := byID[id]
		if !ok {
			return fmt.Errorf("there is an example of %s, and no such operation", id)
		}
		if x.request != nil {
			if err := put(op, x.request, "requestBody"); err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
		}
		if x.answer != nil {
			if err := put(op, x.answer, "responses", "200"); err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
		}
	}
	return nil
}

func put(op object, value any, path ...string) error {
	content, err := at(op, append(path, "content")...)
	if err != nil {
		return err
	}
	for kind := range content {
		media, err := at(content, kind)
		if err != nil {
			return err
		}
		media["example"] = value
	}
	return nil
}

const (
	recipientID = "ticket-system"
	eventID     = "appliance-1~e-1"
	eventTime   = "2026-11-21T10:00:00Z"
)

func examples() map[string]example {
	target := object{"deliveries": []any{object{"recipientId": recipientID, "eventId": eventID}}}
	changed := object{"changed": 1, "unchanged": []any{}}
	return map[string]example{
		"CreateRecipient": {
			object{"displayName": "Ticket system", "eventTypes": []any{"support_conference_end"},
				"http": object{"url": "https://tickets.example.com/hook"}},
			recipientExample(),
		},
		"GetRecipient":        {nil, recipientExample()},
		"UpdateRecipient":     {object{"http": object{"retryInterval": "60s"}}, nil},
		"TestRecipient":       {object{"eventType": "support_conference_end"}, object{"eventId": "outbound-test~01JD0V"}},
		"PurgeRecipient":      {object{"expectedCount": "12"}, object{"cancelled": "12"}},
		"RotateSigningSecret": {object{"overlap": "86400s"}, nil},
		"TestFilter": {
			object{"filter": `event.external_key != ""`, "events": 10},
			object{"matching": 1, "results": []any{object{"eventId": eventID, "eventType": "support_conference_end", "matches": true, "error": ""}}},
		},
		"PublishEvent":          {eventExample(), object{"eventId": eventID, "sequence": "42", "duplicate": false}},
		"ListDeliveries":        {nil, object{"deliveries": []any{deliveryExample()}, "nextPageToken": ""}},
		"RetryDeliveries":       {target, object{"replayId": "01JD0V8Z3T9GQK", "queued": 1}},
		"SendNow":               {target, changed},
		"ProbeRecipient":        {nil, object{"breakerOpen": true, "delivery": object{"recipientId": recipientID, "eventId": "appliance-1~e-1"}}},
		"CancelDeliveries":      {target, changed},
		"ExtendDeliveries":      {object{"by": "3600s", "deliveries": target["deliveries"]}, changed},
		"TailDeliveries":        {nil, object{"result": object{"deliveries": []any{deliveryExample()}, "missed": "0"}}},
		"ProveDelivery":         {nil, object{"receipt": `{"format": "outbound receipt v1", "recipient": "ticket-system", "event": "appliance-1~e-1", …}`}},
		"VerifyDeliveries":      {nil, object{"result": object{"records": "3", "sequence": "3", "result": verificationExample()}}},
		"GetCheckpointKey":      {nil, object{"key": verifierKey}},
		"PullDeliveries":        {nil, pullExample()},
		"AcknowledgeDeliveries": {object{"through": "43"}, object{"acknowledged": 1, "cursor": "43"}},
		"CreateReplay":          {object{"deliveries": object{"recipientId": recipientID, "state": "EXPIRED"}, "rate": 20}, nil},
		"PreviewReplay":         {object{"toRecipientId": recipientID, "backfill": object{"startTime": eventTime}}, nil},
		"CreateCustomField":     {object{"displayName": "Region"}, object{"codeName": "region", "displayName": "Region", "etag": "n3xq"}},
		"CreateAppliance": {
			object{"id": "appliance-1", "displayName": "Support centre", "silentAfter": "7200s"},
			object{"id": "appliance-1", "user": "appliance-1", "password": "shown once", "token": "shown once"},
		},
		"UpdateSmtpSettings": {
			object{"host": "mail.example.com", "encryption": "STARTTLS", "fromAddress": "outbound@example.com"}, nil,
		},
		"UpdateEmailSettings": {object{"timeZone": "Europe/Amsterdam"}, nil},
		"CreateToken":         {object{"displayName": "Nightly report", "role": "VIEWER"}, nil},
		"RollBack":            {object{"resource": "recipients/" + recipientID, "revision": "7"}, nil},
	}
}

// verifierKey is a key as golang.org/x/mod/sumdb/note writes them.
const verifierKey = "outbound-history-c1a50c55adba+391a22c6+ARX+FusYoObD7dDa8oz/5EgXBJKGy7lyEs5g83ix0gqy"

func verificationExample() object {
	return object{
		"faults": []any{object{
			"kind": "REMOVED", "sequence": "2", "lastSequence": "2", "checkpoint": "0", "record": "RETRYING", "recipientId": recipientID,
			"eventId": eventID, "text": "it is missing",
		}},
		"omittedFaults": "0", "records": "2", "chainedRecords": "2", "coveredRecords": "2", "firstSequence": "1", "lastSequence": "3",
		"firstCoveredSequence": "1", "lastCoveredSequence": "3", "checkpoints": "1", "headNumber": "1",
		"headHash": "223833f9fe169f36a85239be85daf312381850992353df4f8072fb049d2be459", "headTime": eventTime, "key": verifierKey, "notes": []any{},
	}
}

func recipientExample() object {
	return object{
		"id": recipientID, "displayName": "Ticket system", "enabled": true, "whileDisabled": "SKIP",
		"eventTypes": []any{"support_conference_end"},
		"appliances": []any{}, "etag": "k7", "createTime": eventTime, "updateTime": eventTime,
		"http": object{
			"url": "https://tickets.example.com/hook", "retryInterval": "30s", "retryDuration": "86400s", "format": "FORM", "success": "HTTP_200",
			"maxInFlight": 16, "order": "NONE", "timeout": "15s",
		},
	}
}

func eventExample() object {
	return object{
		"specversion": "1.0", "id": "e-1", "source": "appliance-1", "type": "support_conference_end", "time": eventTime, "subject": "0a1b",
		"datacontenttype": "application/json",
		"data":            object{"external_key": "INC-1", "custom_fields": object{"region": "emea"}, "duration": "1260"},
	}
}

func deliveryExample() object {
	return object{
		"eventId": eventID, "eventType": "support_conference_end", "applianceId": "appliance-1", "recipientId": recipientID, "state": "RETRYING",
		"reason": "http_status", "reasonClass": "http_5xx", "attempts": 1, "statusCode": 503, "acceptTime": eventTime,
		"lastAttemptTime": eventTime,
		"nextAttemptTime": "2026-11-21T10:00:30Z", "expireTime": "2026-11-22T10:00:00Z", "channel": "http",
	}
}

// pullExample is what a receiver pulls.
func pullExample() object {
	body := base64.StdEncoding.EncodeToString([]byte("event=support_conference_end&lsid=4bf5&version=1"))
	return object{
		"deliveries": []any{object{
			"sequence": "43", "previous": "42", "eventId": "appliance-1~e-1", "eventType": "support_conference_end", "applianceId": "appliance-1",
			"acceptTime": eventTime, "state": "RETRYING", "reason": "http_status", "detail": "HTTP 503 Service Unavailable",
			"headers": object{
				"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Outbound-Previous": "42", "Outbound-Sequence": "43",
				"Webhook-Id": "appliance-1~e-1", "Webhook-Signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "Webhook-Timestamp": "1764461330",
			},
			"body": body, "note": "",
		}},
		"nextAfter": "43", "more": false, "cursor": "42", "last": "43",
	}
}
