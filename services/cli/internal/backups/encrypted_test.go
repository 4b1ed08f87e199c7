package backups_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/backup"
	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/services/cli/internal/backups"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// opened starts the broker of a data directory and returns what it has of a recipient, and a backup of it.
func opened(t *testing.T, data, key string) (recipient string, content []byte) {
	t.Helper()
	b, err := embed.Start(embed.Options{StoreDir: filepath.Join(data, "broker"), Host: "127.0.0.1", Port: -1, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Shutdown()
	c, err := bus.Connect(t.Context(), bus.Options{User: embed.CoreUser, Password: b.CorePassword(), InProcess: b})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	kv, err := c.Bucket(t.Context(), bus.BucketRecipients)
	if err != nil {
		t.Fatal(err)
	}
	e, err := kv.Get(t.Context(), "r.crm")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := backup.Take(t.Context(), c, backup.Options{Header: backup.Header{Version: "1", CreateTime: time.Now(), Deliveries: true}},
		&out); err != nil {
		t.Fatal(err)
	}
	return string(e.Value), out.Bytes()
}

// A backup is the way into an encrypted store and out of it: the file does not depend on the key.
func TestABackupIsRestoredIntoAnEncryptedStoreAndOutOfIt(t *testing.T) {
	from := newSystem(t)
	file, data, plain := from.file(t), filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "plain")
	key := strings.Repeat("k", 32)
	t.Setenv("STORE_KEY", key)
	t.Setenv("OTHER_STORE_KEY", strings.Repeat("o", 32))
	s := clitest.Serve(t, nil)
	run := func(code int, says, args string) {
		t.Helper()
		got := s.Run(t, backups.RestoreCommand, strings.Fields("restore "+args)...)
		if got.Code != code || !strings.Contains(got.Out+got.Err, says) {
			t.Errorf("%s: exit %d, want %d\n%s%s", args, got.Code, code, got.Out, got.Err)
		}
	}
	base := "-f " + file + " --seal-key file:" + from.key + " --data "
	run(exit.CodeOK, "Start Outbound now.", base+data+" --jetstream-key env:STORE_KEY")
	run(exit.CodeFailed, "no key is given", base+data+" --force")
	run(exit.CodeFailed, "another key", base+data+" --force --jetstream-key env:OTHER_STORE_KEY")
	run(exit.CodeFailed, "no such file", base+data+" --force --jetstream-key file:"+file+"x")
	looked := 0
	err := filepath.WalkDir(filepath.Join(data, "broker"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		looked += len(b)
		if bytes.Contains(b, []byte("r.crm")) || bytes.Contains(b, []byte("outbound.events")) {
			t.Errorf("%s is in plain text", path)
		}
		return err
	})
	if err != nil || looked == 0 {
		t.Fatalf("%d bytes were looked at: %v", looked, err)
	}
	was, content := opened(t, data, key)
	if was != "x" {
		t.Errorf("the recipient is %q", was)
	}
	again := filepath.Join(t.TempDir(), "again.backup")
	if err := os.WriteFile(again, content, 0o600); err != nil {
		t.Fatal(err)
	}
	run(exit.CodeOK, "Start Outbound now.", "-f "+again+" --data "+plain)
	if is, _ := opened(t, plain, ""); is != was {
		t.Errorf("out of the encrypted store the recipient is %q", is)
	}
}
