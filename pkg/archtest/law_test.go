package archtest_test

import (
	"slices"
	"testing"

	"github.com/outbound-events/outbound/pkg/archtest"
)

// The packages by kind. A new pkg is added to one of these.
var (
	domain = []string{"pkg/event", "pkg/recipient/...", "pkg/delivery/...", "pkg/render", "pkg/health", "pkg/settings",
		"pkg/audit"}
	library = []string{"pkg/spelling", "pkg/notice", "pkg/pause", "pkg/yamlstream", "pkg/logkey", "pkg/certificate", "pkg/trust",
		"pkg/visible"}
	platform = []string{"pkg/process", "pkg/telemetry", "pkg/secret", "pkg/pki"}
	adapters = []string{"pkg/bus/...", "pkg/rpc/...", "pkg/configclient/...", "pkg/throttle/...", "pkg/filter/...", "pkg/egress/...",
		"pkg/mime", "pkg/preview", "pkg/tlog", "pkg/token", "pkg/session", "pkg/deliverytelemetry"}
	testSupport = []string{"pkg/archtest", "pkg/bustest", "pkg/waittest", "pkg/porttest", "pkg/redistest", "pkg/smtptest", "pkg/golden",
		"pkg/dnstest", "pkg/proxytest", "pkg/certtest"}
)

// joiners are the only packages that see several services.
var joiners = []string{"services/allinone/...", "services/demo/..."}

func rows() []archtest.Row {
	return []archtest.Row{
		{From: []string{"proto/..."}, To: []string{"pkg/...", "services/...", "e2e/..."}, Tests: true, Why: "proto is the lowest module"},
		{From: []string{"pkg/..."}, To: []string{"services/...", "e2e/..."}, Tests: true, Why: "pkg lies below services"},
		{From: []string{"services/..."}, To: []string{"e2e/..."}, Tests: true, Why: "services lie below e2e"},
		{From: []string{"e2e/..."}, To: []string{"services/..."}, Tests: true, Why: "e2e sees processes from outside, through the fixed surface"},
		{From: domain, To: []string{"proto/...", "pkg/..."}, But: slices.Concat(domain, library),
			Why: "the domain knows the standard library and itself only"},
		{From: domain, To: []string{"os", "os/...", "net", "net/http", "io/fs", "syscall"}, Why: "the domain does no I/O: adapters do"},
		{From: library, To: []string{"proto/...", "pkg/..."}, But: library,
			Why: "a library imports the standard library and other libraries, so that domain and platform can use it"},
		{From: platform, To: []string{"proto/...", "services/..."}, Why: "the platform knows no domain and no vendor"},
		{From: []string{"pkg/process", "pkg/secret"}, To: []string{"pkg/..."}, But: slices.Concat(platform, library),
			Why: "the platform knows no domain and no vendor"},
		{From: []string{"pkg/telemetry"}, To: adapters,
			Why: "the platform knows no vendor; of the domain telemetry reads what an attempt was, and no more"},
		{From: []string{"pkg/bus/..."}, To: []string{"proto/..."}, Why: "what the broker keeps is ours to name, not the API's"},
		{From: []string{"services/..."}, To: testSupport, Free: []string{"services/console/internal/consoletest"},
			Why: "test support is for tests"},
		{From: append(append(append([]string{}, domain...), platform...), adapters...), To: testSupport, Why: "test support is for tests"},
		{From: []string{"services/cmd/..."}, To: []string{"pkg/delivery", "pkg/render"},
			Why: "a main opens adapters and starts a service; the domain is the service's"},
	}
}

func vendors() []archtest.Vendor {
	api := []string{"proto/...", "pkg/rpc/...", "pkg/configclient/...", "pkg/preview", "services/...", "e2e/..."}
	return []archtest.Vendor{
		{"github.com/klauspost/compress/s2", []string{"pkg/bus/backup", "pkg/tlog"},
			"snapshots of nats-server are compressed with it, and segments of the tree over the log"},
		{"github.com/transparency-dev/merkle", []string{"pkg/tlog"},
			"Merkle trees of RFC 6962, which the standard library lacks, have one address"},
		{"golang.org/x/mod/sumdb/note", []string{"pkg/tlog"}, "signed notes, which the standard library lacks, have one address"},
		{"github.com/nats-io/nats.go", []string{"pkg/bus/...", "pkg/bustest", "services/ingest/...", "services/cmd/outbound/...",
			"services/demo/...", "services/cli/...", "e2e/..."},
			"NATS has one adapter, pkg/bus; ingest answers requests, and whoever plays an appliance uses the stock client"},
		{"github.com/nats-io/nats-server/v2", []string{"pkg/bus/embed", "pkg/bustest", "e2e/..."},
			"the server is embedded in pkg/bus/embed alone"},
		{"github.com/nats-io/jwt/v2", []string{"pkg/bus/embed", "pkg/bus/accounts"},
			"accounts and their limits are written as nats-server takes them"},
		{"github.com/nats-io/nkeys", []string{"pkg/bus/accounts"}, "the keys of accounts are made in pkg/bus/accounts"},
		{"github.com/minio/highwayhash", []string{"pkg/bus/storefile"}, "the checksums of nats-server's files are read in pkg/bus/storefile"},
		{"github.com/nats-io/nuid", []string{"pkg/bus/..."}, "ids of batches"},
		{"google.golang.org/grpc", api, "gRPC has one adapter, pkg/rpc; services register on it and speak its status"},
		{"google.golang.org/protobuf", api, "generated types stay at the edge"},
		{"google.golang.org/genproto", api, "generated types stay at the edge"},
		{"buf.build/go/protovalidate", []string{"pkg/rpc/...", "services/config/..."}, "requests are validated at the edge"},
		{"buf.build/gen/go", []string{"proto/...", "pkg/rpc/...", "services/config/..."}, "requests are validated at the edge"},
		{"github.com/grpc-ecosystem/grpc-gateway/v2", []string{"proto/...", "services/console/...", "services/allinone/...", "pkg/rpc/..."},
			"REST is made of gRPC in one place"},
		{"cel.dev/cel-go", []string{"pkg/filter"}, "filters have one adapter"},
		{"code.dny.dev/ssrf", []string{"pkg/egress"}, "the outside is dialled through pkg/egress"},
		{"github.com/redis/go-redis/v9", []string{"pkg/throttle/...", "pkg/session", "pkg/redistest"},
			"Redis has two uses: limits in pkg/throttle, sessions in pkg/session"},
		{"github.com/go-redis/redis_rate/v10", []string{"pkg/throttle/..."}, "Redis has one adapter, pkg/throttle"},
		{"github.com/tink-crypto/tink-go/v2", []string{"pkg/secret"}, "sealing has one address, pkg/secret"},
		{"github.com/goccy/go-yaml", []string{"pkg/process", "services/cmd/outbound/...", "services/cli/...", "services/allinone/...",
			"e2e/..."}, "options are read in pkg/process, declarations by the CLI"},
		{"github.com/caarlos0/env/v11", []string{"pkg/process"}, "the environment is read in pkg/process"},
		{"github.com/spf13/cobra", []string{"pkg/process", "services/cmd/...", "services/cli/..."}, "flags belong to mains and the CLI"},
		{"github.com/spf13/pflag", []string{"pkg/process", "services/cmd/...", "services/cli/..."}, "flags belong to mains and the CLI"},
		{"go.opentelemetry.io", []string{"pkg/telemetry", "pkg/rpc/...", "pkg/bus/...", "pkg/egress", "services/..."},
			"telemetry is set up in pkg/telemetry; adapters carry the trace"},
		{"github.com/prometheus", []string{"pkg/telemetry"}, "metrics are made in pkg/telemetry"},
		{"github.com/wneessen/go-mail", []string{"pkg/mime", "services/emailsender/..."}, "MIME is written in pkg/mime; one service sends mail"},
		{"github.com/emersion/go-smtp", []string{"pkg/smtptest", "services/demo/...", "e2e/..."}, "the SMTP server is for tests and the demo"},
		{"github.com/emersion/go-message", []string{"e2e/..."}, "the mails that arrive are read by another library than the one that wrote them"},
		{"github.com/emersion/go-sasl", []string{"pkg/smtptest", "services/demo/...", "e2e/..."}, "the SMTP server is for tests and the demo"},
		{"github.com/cloudevents/sdk-go", []string{"services/ingest/..."}, "the HTTP bindings of CloudEvents are read at intake"},
		{"github.com/oklog/ulid/v2", []string{"pkg/...", "services/..."}, "ids"},
		{"github.com/standard-webhooks/standard-webhooks", []string{"services/demo/...", "services/cli/internal/listen"},
			"the reference implementation checks ours, in tests and in the receivers of the demo and of `outbound listen`"},
		{"github.com/google/go-cmp", []string{}, "for tests"},
		{"github.com/getkin/kin-openapi", []string{}, "for tests: what others read in our OpenAPI document"},
		{"github.com/oapi-codegen/runtime", []string{"e2e/openapiclient"}, "for tests: the generated client stands on it"},
		{"go.uber.org/goleak", []string{"pkg/waittest"}, "for tests"},
		{"github.com/chromedp", []string{"e2e/browser/..."}, "the console is looked at in a real browser in one place"},
		{"github.com/compose-spec/compose-go/v2", []string{}, "for tests of the compose file"},
		{"golang.org/x/oauth2", []string{"pkg/token", "services/console/..."},
			"tokens to sign in with are got in pkg/token; people sign in at the console"},
		{"github.com/coreos/go-oidc/v3", []string{"services/console/..."}, "people sign in at the console alone"},
		{"github.com/oauth2-proxy/mockoidc", []string{}, "for tests"},
		{"github.com/golang-jwt/jwt/v5", []string{}, "for tests: the ID tokens of scripted providers"},
		{"golang.org/x/sync", []string{"pkg/...", "services/...", "e2e/..."}, "the standard library's annex"},
		{"golang.org/x/crypto", []string{"pkg/...", "services/...", "e2e/..."}, "the standard library's annex"},
		{"golang.org/x/sys", []string{"pkg/bus/embed", "pkg/process", "services/allinone/..."}, "locks on folders"},
		{"golang.org/x/net", []string{"services/...", "pkg/..."}, "the standard library's annex"},
		{"golang.org/x/term", []string{"services/cli/..."}, "the command line asks for passwords without showing them"},
		{"golang.org/x/text", []string{"services/...", "pkg/..."}, "the standard library's annex"},
		{"golang.org/x/time", []string{"pkg/throttle/...", "pkg/rpc/quota", "pkg/bus/internal/passwords", "services/..."},
			"rates within one process"},
	}
}

func acts() []archtest.Act {
	// What a consumer is told of a message is a reply, whichever library call sends it.
	// The stream of a site is none of Outbound's: what forwards from it acknowledges in a file of its own.
	acks, whyAcks := []string{"pkg/bus/queue/settle.go", "pkg/bus/site/settle.go"}, "acknowledging has one address, pkg/bus/queue/settle.go"
	channels, whyChannels := []string{"services/httpsender", "services/emailsender", "services/cmd/...", "services/config/internal/store",
		"pkg/preview"},
		"the core branches on no channel: it asks recipient.Describe or the Target; a channel is named by its sender and where it is read"
	// What waits for something besides its time and its context.
	timers := []string{"pkg/pause", "pkg/bus/deliverylog/latest.go", "pkg/bus/embed", "pkg/bus/internal/passwords", "pkg/bus/internal/wire",
		"pkg/bus/queue/queue.go", "pkg/delivery", "pkg/delivery/slots", "pkg/egress/race.go", "pkg/process/group.go",
		"pkg/rpc/limits.go", "pkg/smtptest/line.go",
		"services/config/internal/brokeraccounts/keeper.go", "services/config/internal/reconcile/reconcile.go",
		"services/emailsender/internal/relay/limit.go",
		"services/history/internal/lookup/config.go", "services/ingest/intake.go", "e2e/..."}
	return append(loggers(), []archtest.Act{
		{Call: "time.NewTimer", Files: timers, Why: "pause.For waits for a time or the end of a context: a timer is for what waits for more"},
		{Call: "recipient.HTTP", Files: channels, Why: whyChannels},
		{Call: "recipient.Email", Files: channels, Why: whyChannels},
		{Call: "os.Exit", Files: []string{"pkg/process", "services/cmd/...", "e2e/..."},
			Why: "exit has one address, pkg/process and the mains that call it"},
		{Call: "log.Fatal", Why: "exit has one address, pkg/process"},
		{Call: "log.Fatalf", Why: "exit has one address, pkg/process"},
		{Call: "signal.Notify", Files: []string{"pkg/process", "e2e/..."}, Why: "signals have one address, pkg/process"},
		{Call: "signal.NotifyContext", Files: []string{"pkg/process", "e2e/..."}, Why: "signals have one address, pkg/process"},
		{Call: ".DoubleAck", Files: acks, Why: whyAcks},
		{Call: ".AckSync", Files: acks, Why: whyAcks},
		{Call: ".TermWithReason", Files: acks, Why: whyAcks},
		{Call: ".InProgress", Files: acks, Why: whyAcks},
		{Literal: "+ACK", Files: append(acks, "e2e/..."), Why: whyAcks},
		{Literal: "-NAK", Files: append(acks, "e2e/..."), Why: whyAcks},
		{Literal: "+NXT", Files: append(acks, "e2e/..."), Why: whyAcks},
		{Literal: "+TERM", Files: append(acks, "e2e/..."), Why: whyAcks},
		{Literal: "+WPI", Files: append(acks, "e2e/..."), Why: whyAcks},
		{Literal: "$JS.ACK.", Files: append(acks, "e2e/..."), Why: whyAcks},
		{Call: ".JS", Files: []string{"pkg/bus/...", "e2e/..."}, Why: "JetStream is spoken by the adapter of NATS alone"},
		{Call: ".NC", Files: []string{"pkg/bus/...", "e2e/..."}, Why: "the connection stays in the adapter of NATS"},
		{Call: ".IntakeConn", Files: []string{"services/ingest/nats.go"}, Why: "the connection leaves the adapter for intake alone"},
		{Literal: "outbound.events.", Files: []string{"pkg/bus/internal/names/names.go"},
			Why: "subjects have one address, pkg/bus/internal/names/names.go"},
		{Literal: "outbound.replay.", Files: []string{"pkg/bus/internal/names/names.go"},
			Why: "subjects have one address, pkg/bus/internal/names/names.go"},
		{Literal: "outbound.history.", Files: []string{"pkg/bus/internal/names/names.go"},
			Why: "subjects have one address, pkg/bus/internal/names/names.go"},
		{Literal: "outbound.notices.", Files: []string{"pkg/bus/internal/names/names.go"},
			Why: "subjects have one address, pkg/bus/internal/names/names.go"},
		{Literal: "outbound.ingest.", Files: []string{"pkg/bus/internal/names/names.go", "e2e/..."},
			Why: "subjects have one address, pkg/bus/internal/names/names.go; e2e spells them as an appliance does"},
		{Literal: "$JS.", Files: []string{"pkg/bus/...", "e2e/..."}, Why: "JetStream's API is spoken by the adapter of NATS alone"},
	}...)
}

// loggers are the calls of the process's default logger. Mains have it, and the servers of tests.
func loggers() (out []archtest.Act) {
	for _, call := range []string{"Debug", "Info", "Warn", "Error", "DebugContext", "InfoContext", "WarnContext", "ErrorContext", "Log",
		"LogAttrs", "With", "Default"} {
		out = append(out, archtest.Act{Call: "slog." + call, Files: []string{"services/cmd/...", "pkg/bustest"},
			Why: "loggers are injected: take a *slog.Logger in the options, and nil for one that discards"})
	}
	return append(out, archtest.Act{Call: "slog.SetDefault", Files: []string{"pkg/telemetry/telemetry.go"},
		Why: "the default logger is set with the rest of telemetry"})
}

func graph(t *testing.T) *archtest.Graph {
	t.Helper()
	root, err := archtest.Root()
	if err != nil {
		t.Fatal(err)
	}
	h, err := archtest.Load(root, "proto", "pkg", "services", "e2e")
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Files) < 20 {
		t.Fatalf("read %d files of the repository: that cannot be all of it", len(h.Files))
	}
	return h
}

func report(t *testing.T, breaches []archtest.Breach) {
	t.Helper()
	for _, b := range breaches {
		t.Error(b)
	}
}

// waits are the calls by which a test would bet on the machine, and where they bound something else.
func waits() []archtest.Wait {
	const why = "a test waits for a fact, however long that takes: see pkg/waittest"
	// They bound what is repeated until it succeeds, or have somebody else's time run out; e2e/harness/doc.go bounds the bench.
	again := []string{"pkg/waittest", "e2e/harness/doc.go", "e2e/harness/appliance.go", "e2e/browser/page.go", "pkg/egress/probe_test.go",
		"pkg/telemetry/telemetry_test.go"}
	return []archtest.Wait{
		{"time.After", again, why}, {"context.WithTimeout", again, why}, {"time.NewTimer", []string{"pkg/smtptest/line.go"}, why},
		{"time.AfterFunc", nil, why}, {"time.Tick", nil, why}, {"context.WithDeadline", nil, why},
	}
}

// wholes are packages that what lies below them may import: it builds on their API, and they do not know it.
var wholes = []string{"pkg/bus", "pkg/rpc", "services/console", "e2e/browser"}

// named checks that what the law names is there.
func named(t *testing.T) []archtest.Breach {
	t.Helper()
	root, err := archtest.Root()
	if err != nil {
		t.Fatal(err)
	}
	all := [][]string{domain, platform, adapters, testSupport, joiners, wholes}
	for _, r := range rows() {
		all = append(all, r.From, r.To, r.But, r.Free)
	}
	for _, v := range vendors() {
		all = append(all, v.Packages)
	}
	for _, a := range acts() {
		all = append(all, a.Files)
	}
	for _, b := range branches() {
		all = append(all, []string{b.Place})
	}
	for _, w := range waits() {
		all = append(all, w.Files)
	}
	return archtest.Exist(root, all...)
}

// TestTheLawIsKept reads the source once and holds it against each part of the law.
func TestTheLawIsKept(t *testing.T) {
	h := graph(t)
	for name, breaches := range map[string][]archtest.Breach{
		"packages import only what they may":  h.Imports(rows()),
		"each vendor has one adapter":         h.Vendors(vendors()),
		"services do not know each other":     h.Services(joiners),
		"each privileged act has one address": h.Acts(acts()),
		"files and functions are short":       h.Sizes(400, 60),
		"names say something":                 h.Names([]string{"util", "utils", "common", "models", "types", "helpers", "base", "manager"}),
		"tests do not sleep":                  h.Sleeps(),
		"tests do not say how long they wait": h.Waits(waits(), append([]string{"e2e/harness", "e2e/browser"}, testSupport...)),
		"lines are not too long":              h.Columns(),
		"packages are small": h.Packages([]string{"pkg/...", "services/..."},
			archtest.Limits{Files: 20, Names: 60, Methods: 30}),
		"each package is of one kind": h.Kinds([]string{"pkg/..."},
			map[string][]string{"domain": domain, "platform": platform, "adapter": adapters, "test support": testSupport, "library": library}),
		"parts do not import the whole": h.Inward(wholes),
		"the core knows no channel":     h.Branches([]string{"pkg/...", "services/..."}, branches()),
		"log keys are constants":        h.LogKeys([]string{"pkg/...", "services/..."}),
		"named packages exist":          named(t),
		"nothing panics":                h.Panics(testSupport),
	} {
		t.Run(name, func(t *testing.T) { report(t, breaches) })
	}
}
