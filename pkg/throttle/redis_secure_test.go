package throttle_test

import (
	"bytes"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/redistest"
	"github.com/outbound-events/outbound/pkg/throttle"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// leastRights are what the limiter needs of a user.
const leastRights = "~rate:outbound:* resetchannels -@all +@connection +eval +evalsha +get +set +time"

// certificate makes a certificate for 127.0.0.1 that is its own root, as a file, and its key.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	folder := t.TempDir()
	certFile, keyFile = filepath.Join(folder, "redis.crt"), filepath.Join(folder, "redis.key")
	out, err := exec.CommandContext(t.Context(), "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", "-keyout", keyFile, "-out", certFile).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl: %v: %s", err, out)
	}
	return certFile, keyFile
}

func secretFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestRedisWithUsersAndTLS shares a limit among two processes over a real redis-server, or says why not.
func TestRedisWithUsersAndTLS(t *testing.T) {
	cert, key := certificate(t)
	other, _ := certificate(t)
	t.Setenv("SSL_CERT_FILE", cert) // the system's root certificates
	users := append(strings.Fields("--user default off"), strings.Fields("--user sender on >s3cret "+leastRights)...)
	plain, secure := redistest.Start(t, users...).Address, redistest.StartTLS(t, cert, key, users...).Address
	only := redistest.Start(t, "--requirepass", "s3cret").Address
	right, wrong := secretFile(t, "s3cret"), secretFile(t, "wr0ng")
	for name, c := range map[string]struct {
		o    throttle.RedisOptions
		says string
	}{
		"password of all":           {throttle.RedisOptions{Address: only, PasswordFile: right}, ""},
		"user and password":         {throttle.RedisOptions{Address: plain, User: "sender", PasswordFile: right}, ""},
		"TLS by a file":             {throttle.RedisOptions{Address: secure, User: "sender", PasswordFile: right, CAFile: cert}, ""},
		"TLS by the system's roots": {throttle.RedisOptions{Address: secure, User: "sender", PasswordFile: right, TLS: true}, ""},
		"wrong password":            {throttle.RedisOptions{Address: plain, User: "sender", PasswordFile: wrong}, "WRONGPASS"},
		"no user":                   {throttle.RedisOptions{Address: plain}, "NOAUTH"},
		"another root": {throttle.RedisOptions{Address: secure, User: "sender", PasswordFile: right, CAFile: other},
			"certificate signed by unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			limit := throttle.Limit{Turns: 20, Period: time.Hour}
			var taken int64
			for range 2 {
				c.o.Timeout = waittest.Limit
				r, err := throttle.NewRedis(c.o, slog.New(slog.NewTextHandler(&log, nil)))
				if err != nil {
					t.Fatal(err)
				}
				taken += turns(t, r, name, limit, 10)
				_ = r.Close()
			}
			if c.says == "" && (taken != 2 || log.Len() > 0) {
				t.Errorf("two senders took %d turns, want the 2 that they share: %s", taken, &log)
			}
			if c.says != "" && (taken != 4 || !strings.Contains(log.String(), c.says)) {
				t.Errorf("took %d turns of 2 each, log %q, want %q", taken, &log, c.says)
			}
			if strings.Contains(log.String(), "s3cret") {
				t.Error("the log has the password")
			}
		})
	}
}
