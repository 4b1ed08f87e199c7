package harness

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// servicesShape is where everything of the services shape is.
type servicesShape struct {
	root, dir, secrets string
	// at is host:port of each listener, by service and kind, e.g. config/grpc.
	at map[string]string
	// single is the folder of the store of a single nats-server.
	single string
	// brokers are the names of the nats-servers.
	brokers []string
	// tls says that everything speaks it, static that the broker's accounts are in a file.
	tls, static bool
	// link says where a service dials to reach a listener.
	link func(from, listener string) string
}

// httpSender begins the names of the http-senders, which are numbered from 1.
const httpSender = "http-sender-"

// services is the system as separate processes: a stock nats-server with the configuration in deploy/nats, and each service with
// its options file in deploy/options, over which the environment puts addresses and paths.
func (h *System) services(t T) {
	root, err := Root()
	if err != nil {
		t.Fatalf("%v", err)
	}
	e := &servicesShape{root: root, dir: h.Dir, at: map[string]string{}, brokers: []string{broker}, tls: h.TLS, static: h.StaticAccounts,
		single: cmp.Or(h.Store, filepath.Join(h.Dir, "nats", "store"))}
	if h.Shape == Cluster {
		e.brokers = []string{broker + "-1", broker + "-2", broker + "-3"}
	}
	e.link = func(from, listener string) string {
		if h.Link == nil {
			return e.at[listener]
		}
		return h.Link(t, from, listener, e.at[listener])
	}
	e.makeSecrets(t)
	h.secure = e.trusting(t)
	for _, b := range e.brokers {
		e.at[b+"/nats"], e.at[b+"/http"], e.at[b+"/route"] = porttest.Address(t), porttest.Address(t), porttest.Address(t)
	}
	e.broker(t)
	for _, l := range []string{
		"config/http", "config/grpc", "ingest/http", "ingest/grpc", "history/http", "history/grpc",
		"email-sender/http", "console/http",
	} {
		e.at[l] = porttest.Address(t)
	}
	names := []string{"config", "ingest"}
	for i := range h.Senders {
		name := fmt.Sprint(httpSender, i+1)
		e.at[name+"/http"] = porttest.Address(t)
		names = append(names, name)
	}
	h.nats = e.natsAddresses(func(listener string) string { return e.at[listener] })
	h.grpc = map[string]string{
		"RecipientService": e.at["config/grpc"], "SettingsService": e.at["config/grpc"], "EventService": e.at["ingest/grpc"],
		"DeliveryService": e.at["history/grpc"], "StatusService": e.at["history/grpc"],
	}
	h.REST.Base, h.REST.Token = e.scheme("http")+e.at["console/http"], e.read(t, "admin.token")
	h.REST.Trust(h.secure)
	for _, b := range e.brokers {
		h.parts = append(h.parts, e.nats(t, b, h.Sync))
	}
	for _, name := range append(names, "email-sender", "history", "console") {
		p := e.service(name)
		p.ready = okayOver(e.scheme("http")+e.at[name+"/http"], h.secure)
		if h.Redis != "" && strings.HasPrefix(name, httpSender) {
			p.env = append(p.env, "OUTBOUND_REDIS_ADDRESS="+h.Redis, fmt.Sprint("OUTBOUND_REDIS_REPLICAS=", h.Senders))
		}
		p.env = append(p.env, h.EnvOf[name]...)
		h.parts = append(h.parts, p)
	}
	h.login = nats.UserInfo
	h.monitors = map[string]string{}
	for _, b := range e.brokers {
		h.monitors[b] = e.at[b+"/http"]
	}
	h.added = func(T, ...string) {}
	if e.static {
		h.added = func(t T, ids ...string) { e.reloadBroker(t, h, ids) }
	}
}

// makeSecrets makes tokens, passwords and the sealing key as the operator of the compose file does.
func (e *servicesShape) makeSecrets(t T) {
	e.secrets = filepath.Join(e.dir, "secrets")
	script := filepath.Join(e.root, "deploy", "make-secrets.sh")
	//nolint:gosec // our own script
	cmd := exec.CommandContext(context.Background(), "bash", script, e.secrets)
	cmd.Env = append(os.Environ(), "OUTBOUND="+Binary("outbound"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make the secrets: %v\n%s", err, out)
	}
}

// natsAddresses are the addresses of the brokers, as a list.
func (e *servicesShape) natsAddresses(at func(listener string) string) string {
	var out []string
	for _, b := range e.brokers {
		out = append(out, at(b+"/nats"))
	}
	return strings.Join(out, ",")
}

// broker lays out the stock servers' configuration. Only their folders are others, which no flag can change, and in a cluster the names
// and the routes.
func (e *servicesShape) broker(t T) {
	for _, b := range e.brokers {
		replace := []string{"store_dir: /data\n", fmt.Sprintf("store_dir: %q\n", e.store(b))}
		if len(e.brokers) > 1 {
			replace = append(replace, "server_name: outbound\n", "server_name: "+b+"\n"+e.cluster(b))
		}
		if e.tls {
			replace = append(replace, "listen: \"0.0.0.0:4222\"\n", fmt.Sprintf("tls { cert_file: %q, key_file: %q, min_version: \"1.2\" }\n",
				filepath.Join(e.secrets, "tls", "nats", "tls.crt"), filepath.Join(e.secrets, "tls", "nats", "tls.key")))
		}
		e.brokerAccounts(t, b, replace)
	}
}

// brokerAccounts writes the configuration of a broker, and of the accounts that it has at first.
func (e *servicesShape) brokerAccounts(t T, b string, replace []string) {
	from, dir := filepath.Join(e.root, "deploy", "nats"), filepath.Join(e.dir, "nats")
	if e.static {
		e.copy(t, filepath.Join(from, "nats-static.conf"), filepath.Join(dir, b+".conf"), replace...)
		for path, text := range map[string]string{filepath.Join(dir, "appliances.conf"): "# none yet\n",
			filepath.Join(e.secrets, "nats.password"): "core_of_the_tests\n"} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatalf("write the broker's accounts: %v", err)
			}
		}
		return
	}
	replace = append(replace, "include accounts.conf\n", "include "+b+"-accounts.conf\n")
	e.copy(t, filepath.Join(from, "nats.conf"), filepath.Join(dir, b+".conf"), replace...)
	e.copy(t, filepath.Join(e.secrets, "broker", "accounts.conf"), filepath.Join(dir, b+"-accounts.conf"),
		`dir: "/data/accounts"`, fmt.Sprintf("dir: %q", filepath.Join(dir, b+"-accounts")))
}

// store is the folder in which a broker keeps its streams.
func (e *servicesShape) store(name string) string {
	if name == broker {
		return e.single
	}
	return filepath.Join(e.dir, "nats", name)
}

// cluster is the part of a broker's configuration that joins it with the others.
func (e *servicesShape) cluster(name string) string {
	var routes []string
	for _, b := range e.brokers {
		if b != name {
			routes = append(routes, "nats://"+e.link(name, b+"/route"))
		}
	}
	return fmt.Sprintf("cluster {\n  name: outbound\n  listen: %q\n  no_advertise: true\n  routes: [%s]\n}\n", e.at[name+"/route"],
		strings.Join(routes, ", "))
}

// copy copies a file, with texts replaced by others.
func (e *servicesShape) copy(t T, from, to string, replace ...string) {
	raw, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, []byte(strings.NewReplacer(replace...).Replace(string(raw))), 0o600)
	}
	if err != nil {
		t.Fatalf("copy %s: %v", from, err)
	}
}

func (e *servicesShape) read(t T, secret string) string {
	raw, err := os.ReadFile(filepath.Join(e.secrets, secret))
	if err != nil {
		t.Fatalf("read a secret: %v", err)
	}
	return strings.TrimSpace(string(raw))
}

// nats is a stock server; its flags put addresses and folder over the configuration file.
func (e *servicesShape) nats(t T, name, sync string) *part {
	host, port, _ := net.SplitHostPort(e.at[name+"/nats"])
	_, monitor, _ := net.SplitHostPort(e.at[name+"/http"])
	conf := filepath.Join(e.dir, "nats", name+".conf")
	if sync != "always" {
		t.Fatalf("start: the shape %s has fsync always, as deploy/nats/nats.conf says", Services)
	}
	var env []string
	if e.static {
		env = []string{"NATS_CORE_PASSWORD=" + e.read(t, "nats.password")}
	}
	return &part{
		name: name, path: Binary("nats-server"),
		args: []string{"-c", conf, "-a", host, "-p", port, "-m", monitor},
		env:  env,
		ready: func() error {
			var d net.Dialer
			c, err := d.DialContext(context.Background(), "tcp", e.at[name+"/nats"])
			if err == nil {
				err = c.Close()
			}
			return err
		},
	}
}

// reloadBroker writes the appliances' accounts for the broker and has it read them, as an operator does. It takes two reloads: of an
// account that is new, nats-server 2.15.2 knows the users after the first and the imports after the second.
func (e *servicesShape) reloadBroker(t T, h *System, ids []string) {
	e.writeAccounts(t, h, filepath.Join(e.dir, "nats", "appliances.conf"), ids)
	for _, b := range e.brokers {
		reload(t, h.part(t, b).process)
	}
}

// writeAccounts writes the file of the appliances' accounts, until it has those of ids.
func (e *servicesShape) writeAccounts(t T, h *System, conf string, ids []string) {
	// A replica of the settings that is behind may not know a new appliance yet.
	waittest.NoError(t, "the appliances' accounts to be complete", func() error {
		cmd := exec.CommandContext(context.Background(), Binary("outbound"), "appliances", "nats-config", "-w", conf,
			"--grpc", h.grpc["SettingsService"], "--service-token-file", filepath.Join(e.secrets, "service.token")) //nolint:gosec // our own binary
		if e.tls {
			cmd.Args = append(cmd.Args, "--ca-file", e.authority())
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("outbound appliances nats-config: %v\n%s", err, out)
		}
		raw, err := os.ReadFile(conf)
		for _, id := range ids {
			if err == nil && !strings.Contains(string(raw), id) {
				err = fmt.Errorf("%s has no account for %s", conf, id)
			}
		}
		return err
	})
}

func reload(t T, server *Process) {
	for range 2 {
		reloads := func() int { return strings.Count(server.Output(), "Reloaded server configuration") }
		before := reloads()
		server.signal(syscall.SIGHUP)
		waittest.NoError(t, "the broker to reload", func() error {
			if reloads() == before {
				return fmt.Errorf("it has reloaded %d times", before)
			}
			return nil
		})
	}
}

// signIn are the options by which a service signs in to the broker, and lets appliances in.
func (e *servicesShape) signIn(binary string) map[string]string {
	if binary == "console" {
		return nil
	}
	if e.static {
		out := map[string]string{"NATS_CREDS_FILE": "", "NATS_USER": "outbound.core",
			"NATS_PASSWORD_FILE": filepath.Join(e.secrets, "nats.password")}
		if binary == "config" || binary == "ingest" {
			out["BROKER_ACCOUNTS_KEY_FILE"] = ""
		}
		if binary == "config" {
			out["BROKER_ACCOUNTS_OPERATOR_KEY_FILE"], out["BROKER_ACCOUNTS_SYSTEM_CREDS_FILE"] = "", ""
		}
		return out
	}
	dir := filepath.Join(e.secrets, "broker")
	out := map[string]string{"NATS_CREDS_FILE": filepath.Join(dir, "core.creds")}
	if binary == "config" || binary == "ingest" {
		out["BROKER_ACCOUNTS_KEY_FILE"] = filepath.Join(dir, "appliances.key")
	}
	if binary == "config" {
		out["BROKER_ACCOUNTS_OPERATOR_KEY_FILE"] = filepath.Join(dir, "operator.key")
		out["BROKER_ACCOUNTS_SYSTEM_CREDS_FILE"] = filepath.Join(dir, "system.creds")
	}
	return out
}

// service is one of our processes.
func (e *servicesShape) service(name string) *part {
	binary := name
	if strings.HasPrefix(name, httpSender) {
		binary = strings.TrimSuffix(httpSender, "-")
	}
	common := map[string]string{
		"NATS_URL":           e.scheme("nats") + e.natsAddresses(func(listener string) string { return e.link(name, listener) }),
		"SERVICE_TOKEN_FILE": filepath.Join(e.secrets, "service.token"),
	}
	keys := e.signIn(binary)
	admin := map[string]string{"ADMIN_TOKEN_FILE": filepath.Join(e.secrets, "admin.token")}
	server := map[string]string{"GRPC": e.at[name+"/grpc"], "CONSOLE_TOKEN_FILE": filepath.Join(e.secrets, "console.token")}
	client := map[string]string{"CONFIG": e.link(name, "config/grpc")}
	streams := map[string]string{"STREAMS_REPLICAS": fmt.Sprint(len(e.brokers))}
	sealed := map[string]string{"SEAL_KEY_FILE": filepath.Join(e.secrets, "seal.key")}
	checkpoints := map[string]string{"CHECKPOINT_KEY": "file:" + filepath.Join(e.secrets, "checkpoint.key")}
	policy := map[string]string{"URL_POLICY": "any"}
	own := map[string][]map[string]string{
		"config":       {common, admin, server, sealed, policy, streams},
		"ingest":       {common, admin, server, client},
		"history":      {common, admin, server, client, checkpoints},
		"http-sender":  {common, client, sealed, policy, {"ALLOW_EGRESS": "127.0.0.0/8"}},
		"email-sender": {common, client, sealed},
		"console": {client, {"INGEST": e.at["ingest/grpc"], "HISTORY": e.at["history/grpc"],
			"CONSOLE_TOKEN_FILE": filepath.Join(e.secrets, "console.token")}},
	}[binary]
	own = append(own, e.certificate(binary), keys)
	p := &part{name: name, path: Binary(binary), args: []string{"--options", filepath.Join(e.root, "deploy", "options", binary+".yaml")}}
	for _, set := range append(own, map[string]string{"HTTP": e.at[name+"/http"]}) {
		for k, v := range set {
			p.env = append(p.env, fmt.Sprintf("OUTBOUND_%s=%s", k, v))
		}
	}
	return p
}
