// Receiver is an example of a program behind a recipient's URL. It prints each event that it gets and answers 200.
//
//	go run docs/examples/receiver.go
//
// With WEBHOOK_SECRET (whsec_...) in the environment it refuses requests that this secret did not sign.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	address := "127.0.0.1:9000"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s/\n", l.Addr())
	server := &http.Server{Handler: &receiver{secret: os.Getenv("WEBHOOK_SECRET")}, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.Serve(l))
}

// receiver remembers the ids of the events that it has processed. A real one keeps them in its database.
type receiver struct {
	secret string
	seen   sync.Map
}

func (re *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, "cannot read the body", http.StatusBadRequest)
		return
	}
	if re.secret != "" && !verify(re.secret, r.Header, body) {
		http.Error(w, "the signature is not valid", http.StatusUnauthorized)
		return
	}
	id := r.Header.Get("webhook-id")
	if _, repeated := re.seen.LoadOrStore(id, true); repeated {
		fmt.Printf("duplicate %s\n", id)
		return
	}
	fmt.Printf("received %s\n  %s\n", id, body)
}

// verify reports whether one of the request's signatures is valid and recent.
func verify(secret string, h http.Header, body []byte) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	seconds, err2 := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil || err2 != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", h.Get("webhook-id"), h.Get("webhook-timestamp"), body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, got := range strings.Fields(h.Get("webhook-signature")) {
		if hmac.Equal([]byte(got), []byte(want)) {
			return true
		}
	}
	return false
}
