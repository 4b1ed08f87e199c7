package harness

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// Postfix is a real mail relay: an instance of the system's postfix with folders and a port of its own on loopback. It offers
// STARTTLS, takes mail for its mailboxes and refuses all other addresses.
type Postfix struct {
	dir, address string
}

// postfixDomain is the domain of its mailboxes.
const postfixDomain = "mail.test"

// postfixMain is main.cf: nothing leaves the host, and nothing is looked up outside.
const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.test
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
smtpd_relay_restrictions = reject_unauth_destination
default_transport = error:nothing leaves this host
virtual_mailbox_domains = ` + postfixDomain + `
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = texthash:%[1]s/etc/mailboxes
virtual_uid_maps = static:%[2]d
virtual_gid_maps = static:%[3]d
smtpd_tls_security_level = may
smtpd_tls_chain_files = %[1]s/etc/chain.pem
`

// postfixMaster is master.cf: the daemons of a usual installation, none of them in a changed root, on our port.
const postfixMaster = `%s inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

// nobody owns mailboxes if the tests run as root, whom postfix delivers nothing as.
const nobody = 65534

// StartPostfix starts a relay with mailboxes and with a private key and its certificate (PEM). It ends with the test.
func StartPostfix(t T, chain []byte, mailboxes ...string) *Postfix {
	t.Helper()
	// The folders of tests may be entered by their owner alone, but postfix runs as several users.
	dir, err := os.MkdirTemp("", "outbound-postfix-")
	if err != nil {
		t.Fatalf("make a folder for postfix: %v", err)
	}
	p := &Postfix{dir: dir, address: porttest.Address(t)}
	t.Cleanup(func() {
		if out, err := p.command("rm", "-rf", dir); err != nil {
			t.Errorf("remove the folder of postfix: %v: %s", err, out)
		}
	})
	p.lay(t, chain, mailboxes)
	if out, err := p.command("postfix", "-c", filepath.Join(dir, "etc"), "start"); err != nil {
		t.Fatalf("start postfix: %v\n%s%s", err, out, p.log())
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("postfix wrote:\n%s", p.log())
		}
		if out, err := p.command("postfix", "-c", filepath.Join(dir, "etc"), "stop"); err != nil {
			t.Errorf("stop postfix: %v\n%s", err, out)
		}
	})
	waittest.NoError(t, "postfix to listen", func() error {
		var d net.Dialer
		c, err := d.DialContext(context.Background(), "tcp", p.address)
		if err == nil {
			err = c.Close()
		}
		return err
	})
	return p
}

// lay writes the configuration and makes the folders.
func (p *Postfix) lay(t T, chain []byte, mailboxes []string) {
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = nobody, nobody
	}
	var boxes strings.Builder
	for _, name := range mailboxes {
		fmt.Fprintf(&boxes, "%s@%s %s/\n", name, postfixDomain, name)
	}
	err := os.Chmod(p.dir, 0o755) //nolint:gosec // postfix has several users
	for _, sub := range []string{"etc", "queue", "mail"} {
		if err == nil {
			err = os.Mkdir(filepath.Join(p.dir, sub), 0o755) //nolint:gosec // as above
		}
	}
	for name, text := range map[string]string{
		"main.cf": fmt.Sprintf(postfixMain, p.dir, uid, gid), "master.cf": fmt.Sprintf(postfixMaster, p.address),
		"mailboxes": boxes.String(), "chain.pem": string(chain),
	} {
		mode := os.FileMode(0o644)
		if name == "chain.pem" {
			mode = 0o600
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(p.dir, "etc", name), []byte(text), mode)
		}
	}
	if err == nil && os.Getuid() == 0 {
		err = os.Chown(filepath.Join(p.dir, "mail"), uid, gid)
	}
	if err != nil {
		t.Fatalf("lay postfix out: %v", err)
	}
}

// command runs a program as root, which postfix is started and stopped by.
func (*Postfix) command(name string, args ...string) ([]byte, error) {
	if os.Getuid() != 0 {
		name, args = "sudo", append([]string{"-n", name}, args...)
	}
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	return cmd.CombinedOutput()
}

func (p *Postfix) log() string {
	out, _ := p.command("cat", filepath.Join(p.dir, "log"))
	return string(out)
}

// Host is where the relay listens.
func (p *Postfix) Host() string { host, _, _ := net.SplitHostPort(p.address); return host }

// Port is where the relay listens.
func (p *Postfix) Port() string { _, port, _ := net.SplitHostPort(p.address); return port }

// Address is the address of a mailbox, or of one there is not.
func (p *Postfix) Address(mailbox string) string { return mailbox + "@" + postfixDomain }

// Mails are the mails in a mailbox, as they were stored. An empty mailbox has no folder.
func (p *Postfix) Mails(t T, mailbox string) [][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(p.dir, "mail", mailbox, "new", "*"))
	if err != nil {
		t.Fatalf("list mailbox %s: %v", mailbox, err)
	}
	var out [][]byte
	for _, name := range names {
		raw, err := os.ReadFile(name) //nolint:gosec // a mailbox of our own
		if err != nil {
			t.Fatalf("read a mail in mailbox %s: %v", mailbox, err)
		}
		out = append(out, raw)
	}
	return out
}

// Await waits until a mailbox holds n mails, and returns them.
func (p *Postfix) Await(t T, mailbox string, n int) [][]byte {
	t.Helper()
	var out [][]byte
	waittest.NoError(t, fmt.Sprintf("%d mails in mailbox %s", n, mailbox), func() error {
		if out = p.Mails(t, mailbox); len(out) < n {
			return fmt.Errorf("there are %d", len(out))
		}
		return nil
	})
	return out
}
