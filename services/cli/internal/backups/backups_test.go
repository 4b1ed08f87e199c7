package backups_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/backup"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/backups"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// system is a broker with a recipient, its seal key, and a backup of it.
type system struct {
	broker  *bustest.Server
	conn    *bus.Conn
	content []byte
	key     string
}

func newSystem(t *testing.T) system {
	t.Helper()
	s := system{broker: bustest.Start(t), key: filepath.Join(t.TempDir(), "seal.key")}
	s.conn = s.broker.Conn()
	sealer, err := secret.LoadOrCreateKey(s.key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.conn.Bucket(t.Context(), bus.BucketRecipients)
	if err == nil {
		_, err = b.Write(t.Context(), "r.crm", []byte("x"), 0, bus.Note{Actor: "admin"})
	}
	if err != nil {
		t.Fatal(err)
	}
	h := backup.Header{Version: "1", CreateTime: time.Now(), Deliveries: true, Sealed: []string{"recipients/crm"}}
	if h.SealCheck, err = sealer.Seal([]byte(backup.SealPlace), backup.SealPlace); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := backup.Take(t.Context(), s.conn, backup.Options{Header: h}, &out); err != nil {
		t.Fatal(err)
	}
	s.content = out.Bytes()
	return s
}

// file writes the backup to a file.
func (s system) file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "outbound.backup")
	if err := os.WriteFile(path, s.content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// lines are a stream of messages.
func lines(t *testing.T, messages ...*outboundv1.DownloadBackupResponse) string {
	t.Helper()
	var b strings.Builder
	for _, m := range messages {
		raw, err := protojson.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(`{"result":` + strings.ReplaceAll(string(raw), "\n", "") + "}\n")
	}
	return b.String()
}

func TestABackupIsWrittenWholeOrNotAtAll(t *testing.T) {
	content := newSystem(t).content
	sum := sha256.Sum256(content)
	half := len(content) / 2
	first, second := &outboundv1.DownloadBackupResponse{Data: content[:half]}, &outboundv1.DownloadBackupResponse{Data: content[half:]}
	end := &outboundv1.DownloadBackupResponse{Summary: &outboundv1.BackupSummary{
		SizeBytes: int64(len(content)), Sha256: hex.EncodeToString(sum[:]), Sealed: []string{"recipients/crm"},
		Parts: []*outboundv1.BackupPart{{Name: "EVENTS", Messages: 3, Bytes: 2048, FileBytes: 1024}},
	}}
	for name, x := range map[string]struct {
		answer, args, says string
		code               int
		written            bool
	}{
		"whole":         {lines(t, first, second, end), "-f F", "EVENTS", exit.CodeOK, true},
		"as json":       {lines(t, first, second, end), "-f F -o json", `"sealed": [`, exit.CodeOK, true},
		"cut off":       {lines(t, first), "-f F", "before the backup was complete", exit.CodeFailed, false},
		"one lost":      {lines(t, first, end), "-f F", "changed on its way", exit.CodeFailed, false},
		"an error":      {lines(t, first) + `{"error":{"code":14,"message":"the disk is full"}}`, "-f F", "the disk is full", exit.CodeFailed, false},
		"no file":       {"", "", "needs --file", exit.CodeUsage, false},
		"a wrong word":  {"", "-f F --with tea", "not one of queue, history", exit.CodeUsage, false},
		"one that is":   {"", "-f EXISTS", "--force", exit.CodeConflict, false},
		"over that":     {lines(t, first, second, end), "-f EXISTS --force", "EVENTS", exit.CodeOK, false},
		"with the rest": {lines(t, first, second, end), "-f F --with history", "EVENTS", exit.CodeOK, true},
	} {
		dir := t.TempDir()
		file, exists := filepath.Join(dir, "new"), filepath.Join(dir, "old")
		if err := os.WriteFile(exists, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/backup": clitest.JSON(x.answer)})
		args := strings.Fields("backup " + strings.NewReplacer("EXISTS", exists, "F", file).Replace(x.args))
		got := s.Run(t, backups.BackupCommand, args...)
		if got.Code != x.code || !strings.Contains(got.Out+got.Err, x.says) {
			t.Errorf("%s: exit %d, %s%s", name, got.Code, got.Out, got.Err)
		}
		for _, c := range s.Calls("GET") {
			if asked := strings.HasSuffix(c.Path, "?deliveries=true"); asked != strings.Contains(x.args, "history") {
				t.Errorf("%s: asked for %s", name, c.Path)
			}
		}
		raw, err := os.ReadFile(file)
		if written := err == nil && bytes.Equal(raw, content); written != x.written {
			t.Errorf("%s: written %v, %v", name, written, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 2 {
			t.Errorf("%s: files are left: %v, %v", name, left, err)
		}
		if old, err := os.ReadFile(exists); err != nil || strings.Contains(x.args, "--force") == (string(old) == "old") {
			t.Errorf("%s: the old file has %d bytes, %v", name, len(old), err)
		}
	}
}

func TestABackupGoesToStandardOutput(t *testing.T) {
	content := newSystem(t).content
	sum := sha256.Sum256(content)
	s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/backup": clitest.JSON(lines(t, &outboundv1.DownloadBackupResponse{Data: content,
		Summary: &outboundv1.BackupSummary{SizeBytes: int64(len(content)), Sha256: hex.EncodeToString(sum[:])}}))})
	if got := s.Run(t, backups.BackupCommand, "backup", "-f", "-"); got.Code != 0 || got.Out != string(content) ||
		!strings.Contains(got.Err, "SHA-256") {
		t.Errorf("exit %d, %d bytes, %s", got.Code, len(got.Out), got.Err)
	}
}

// TestARestoreIntoADataDirectory goes the way of somebody who has lost the disk, and makes every mistake once.
func TestARestoreIntoADataDirectory(t *testing.T) {
	from := newSystem(t)
	file, data := from.file(t), filepath.Join(t.TempDir(), "data")
	other := filepath.Join(t.TempDir(), "other.key")
	if _, err := secret.LoadOrCreateKey(other); err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.backup")
	if err := os.WriteFile(cut, from.content[:len(from.content)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	s := clitest.Serve(t, nil)
	for _, x := range []struct {
		args string
		code int
		says string
	}{
		{"-f F", exit.CodeUsage, "--data DIR"},
		{"-f - --data D", exit.CodeUsage, "must be a file"},
		{"--data D", exit.CodeUsage, "--file"},
		{"-f F --data D --options o", exit.CodeUsage, "give one"},
		{"-f " + file + ".absent --data D", exit.CodeUsage, "no such file"},
		{"-f " + cut + " --data D", exit.CodeFailed, "is damaged or incomplete"},
		{"-f F --dry-run", exit.CodeOK, "checksums are right"},
		{"-f F --data D --dry-run", exit.CodeOK, "there is no seal key in"},
		{"-f F --data D", exit.CodeFailed, "there is no seal key in"},
		{"-f F --data D --seal-key " + other, exit.CodeFailed, "is not the one of the backup"},
		{"-f F --data D --seal-key " + from.key, exit.CodeOK, "Start Outbound now."},
		{"-f F --data D --dry-run", exit.CodeOK, "has 1 recipient, which a restore with --force replaces"},
		{"-f F --data D", exit.CodeConflict, "it has 1 recipient; --force replaces all of it; nothing was changed"},
		{"-f F --data D --force --config-only -o json", exit.CodeOK, `"replaced": "1 recipient"`},
		{"-f F --data D --force --without-secrets --seal-key " + other, exit.CodeOK, "Enter the secrets again of recipients/crm."},
	} {
		args := strings.Fields("restore " + x.args)
		for i, a := range args {
			args[i] = map[string]string{"F": file, "D": data}[a]
			if args[i] == "" {
				args[i] = a
			}
		}
		got := s.Run(t, backups.RestoreCommand, args...)
		if got.Code != x.code || !strings.Contains(got.Out+got.Err, x.says) {
			t.Errorf("%s: exit %d, want %d\n%s%s", x.args, got.Code, x.code, got.Out, got.Err)
		}
	}
	// A server takes a directory that has an inventory, as a restore that removes records writes one, for one that has been in use.
	if _, err := secret.LoadToken(filepath.Join(data, "admin.token")); err != nil {
		t.Errorf("a server does not start on it: %v", err)
	}
	for name, want := range map[string]string{"seal.key": other, "seal.key.before-restore": from.key} {
		is, err := os.ReadFile(filepath.Join(data, name))
		key, wrong := os.ReadFile(want)
		if err != nil || wrong != nil || !bytes.Equal(is, key) {
			t.Errorf("%s is another key: %v, %v", name, err, wrong)
		}
	}
}

// TestARestoreWithTheOptionsOfTheConfigService refuses while a service answers.
func TestARestoreWithTheOptionsOfTheConfigService(t *testing.T) {
	from := newSystem(t)
	file, broker := from.file(t), bustest.Start(t)
	to := broker.Conn()
	options := filepath.Join(t.TempDir(), "config.yaml")
	text := "nats:\n  url: nats://127.0.0.1:1\ngrpc: 127.0.0.1:0\nstreams:\n  replicas: 1\nsealKeyFile: " + from.key + "\n"
	if err := os.WriteFile(options, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := clitest.Serve(t, nil)
	s.Env["OUTBOUND_NATS_URL"] = broker.URL()
	ctx, stop := waittest.Context(t.Context())
	ended := make(chan error)
	go func() { ended <- control.New(to).Announce(ctx, nil, control.NewPresence("http-sender", "1")) }()
	waittest.NoError(t, "the restore to be refused because of the service", func() error {
		got := s.Run(t, backups.RestoreCommand, "restore", "-f", file, "--options", options, "--dry-run")
		if got.Code == exit.CodeFailed && strings.Contains(got.Err, "stop them first: http-sender on") {
			return nil
		}
		return fmt.Errorf("exit %d, %s%s", got.Code, got.Out, got.Err)
	})
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	got := s.Run(t, backups.RestoreCommand, "restore", "-f", file, "--options", options)
	if got.Code != 0 || !strings.Contains(got.Out, "Restart nats-server before the services") {
		t.Errorf("exit %d, %s%s", got.Code, got.Out, got.Err)
	}
	if p, err := backup.Look(t.Context(), to); err != nil || p.Recipients != 1 {
		t.Errorf("there is %+v, %v", p, err)
	}
}
