// Pull fetches the deliveries that a receiver has missed, in order, and acknowledges them. It keeps the last number in a file.
//
//	go run docs/examples/pull/pull.go FILE
//
// OUTBOUND_URL, OUTBOUND_TOKEN (a receiver's), RECIPIENT and WEBHOOK_SECRET are in the environment.
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
)

type delivery struct {
	Sequence uint64 `json:",string"`
	EventID  string
	State    string
	Headers  map[string]string
	Body     []byte // base64 in JSON
}

type page struct {
	Deliveries []delivery
	More       bool
}

func call(method, path, body string, into any) error {
	address := os.Getenv("OUTBOUND_URL") + "/v1/recipients/" + os.Getenv("RECIPIENT") + "/deliveries" + path
	q, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		return err
	}
	q.Header.Set("Authorization", "Bearer "+os.Getenv("OUTBOUND_TOKEN"))
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

func verified(d delivery, key []byte) bool {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", d.Headers["Webhook-Id"], d.Headers["Webhook-Timestamp"], d.Body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for got := range strings.FieldsSeq(d.Headers["Webhook-Signature"]) {
		if hmac.Equal([]byte(got), []byte(want)) {
			return true
		}
	}
	return false
}

// handle is your own work: what it returns from is done for good.
func handle(d delivery) { fmt.Println(d.Sequence, d.EventID, d.State, len(d.Body)) }

func run(file string) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("WEBHOOK_SECRET"), "whsec_"))
	if err != nil {
		return err
	}
	last := uint64(0)
	if text, err := os.ReadFile(file); err == nil {
		if _, err := fmt.Sscan(string(bytes.TrimSpace(text)), &last); err != nil {
			return err
		}
	}
	for p := (page{More: true}); p.More; {
		p = page{}
		if err := call("GET", fmt.Sprintf(":pull?after=%d&limit=100", last), "", &p); err != nil {
			return err
		}
		for _, d := range p.Deliveries {
			if len(d.Body) > 0 && !verified(d, key) {
				return fmt.Errorf("the signature of delivery %d is not valid", d.Sequence)
			}
			handle(d)
			last = d.Sequence
			if err := os.WriteFile(file+".new", fmt.Append(nil, last), 0o600); err != nil {
				return err
			}
			if err := os.Rename(file+".new", file); err != nil {
				return err
			}
		}
		if len(p.Deliveries) > 0 {
			if err := call("POST", ":acknowledge", fmt.Sprintf(`{"through":%d}`, last), &struct{}{}); err != nil {
				return err
			}
		}
	}
	return nil
}

func main() {
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}
