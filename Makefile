# The verbs of this repository. `make` alone prints them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Arguments of the demo, e.g. make demo DEMO_ARGS=--once
DEMO_ARGS ?=
# Packages to test, e.g. make test PKGS=./pkg/bus/... Empty: all, those first that take longest.
PKGS ?=
SYSTEMS := ./e2e/...
OTHERS := ./services/config/... ./pkg/delivery/... ./pkg/bus/... ./services/history/... ./services/allinone/... ./services/... ./pkg/... ./proto/...
# Further arguments of go test, e.g. make test TEST_ARGS='-run Retry -v'
TEST_ARGS ?=
# How many packages are tested at once: tests wait most of the time.
JOBS ?= $(shell echo $$(($$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN) + 2)))
# The same under the race detector, which keeps a core busy with each.
RACEJOBS ?= $(shell echo $$(($$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN) + 1)))
# How often test-busy and test-onecore run everything, and powerloss loses the power.
N ?= 1
# How long each fuzz target runs, and which do: a regular expression; empty: all.
FUZZTIME ?= 10s
FUZZ ?=
# The modules of the workspace.
MODULES := proto pkg services e2e
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/outbound-events/outbound/pkg/process.version=$(VERSION)

.PHONY: help demo test race test-busy test-onecore powerloss check vulnerabilities sbom fuzz bench soak ledger ledger-mutations build generate verify golden screenshots dashboards release test-packages test-cluster test-compose test-deploy test-kube fmt lint vet secrets clean axe receivers

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## play a support session through everything (DEMO_ARGS=--once for scripts)
	@CGO_ENABLED=0 go run ./services/cmd/demo $(DEMO_ARGS)

# GOGC: compilers and tests collect garbage less often, for a quarter less of processor time. Everything is compiled once before tests begin,
# as the binaries are that tests start: go list -export compiles without linking. The timeout is for a test that hangs: a busy machine may
# take long, and waits end by themselves.
test: ## test everything on real parts
	@tools/needs.sh redis-server postfix curl chromium openssl
	@$(MAKE) -s axe receivers
	@export GOGC=$${GOGC:-400} CGO_ENABLED=0; \
	if [ -n "$(PKGS)" ]; then exec go test -p $(JOBS) -timeout 90m $(TEST_ARGS) $(PKGS); fi; \
	go list -export -f '{{with .Error}}{{.}}{{end}}' $(SYSTEMS) $(OTHERS); \
	go test -p $(JOBS) -timeout 90m $(TEST_ARGS) $(SYSTEMS) $(OTHERS)

# GORACE: a test binary that has ended does not sleep for a second.
race: ## test with the race detector: everything that runs in one process, and the main stories on binaries that have it
	@tools/needs.sh gcc redis-server postfix curl chromium openssl
	@$(MAKE) -s axe receivers
	@export GOGC=$${GOGC:-400} GORACE="$${GORACE:-atexit_sleep_ms=100}" CGO_ENABLED=1; failed=0; \
	if [ -n "$(PKGS)" ]; then exec go test -race -p $(RACEJOBS) -timeout 90m $(TEST_ARGS) $(PKGS); fi; \
	OUTBOUND_E2E_RACE=1 go test -race -timeout 90m $(TEST_ARGS) -run '^TestSuite$$' ./e2e || failed=$$?; \
	go test -race -p $(RACEJOBS) -timeout 90m $(TEST_ARGS) $(OTHERS) || failed=$$?; \
	exit $$failed

test-busy: ## test everything N times while every core is kept busy, e.g. make test-busy N=5
	@tools/needs.sh stress-ng
	@tools/test-busy.sh $(N)

test-onecore: ## test everything N times on one core
	@tools/needs.sh taskset
	@tools/test-onecore.sh $(N)

powerloss: ## lose the power of a disk N times under load and count what was accepted (needs root), e.g. make powerloss N=20
	@tools/needs.sh gcc
	OUTBOUND_TEST_POWER_LOSSES=$(N) go test ./e2e -count=1 -timeout 90m -v -run SurvivesALossOfPower

check: ## all that must hold before a change lands: verify, vet, lint, vulnerabilities, test, race
	@$(MAKE) verify
	@$(MAKE) vet
	@$(MAKE) lint
	@$(MAKE) vulnerabilities
	@$(MAKE) test
	@$(MAKE) race

vulnerabilities: .bin/govulncheck ## look for known vulnerabilities in what is called; says so where their data can't be had
	@mkdir -p .build
	@tools/needs.sh curl
	@tools/vulnerabilities.sh $(MODULES)

sbom: build .bin/govulncheck ## write a bill of materials (CycloneDX) of each binary into sbom/
	@tools/sbom.sh $(VERSION)

fuzz: ## run every fuzz target for a while, e.g. make fuzz FUZZTIME=5m FUZZ=Decode
	@tools/fuzz.sh $(FUZZTIME) $(FUZZ)

bench: ## measure delivery, latency and start next to a baseline
	go run ./e2e/bench $(BENCH_ARGS)

soak: ## run at 70 % of the maximum and show that memory, goroutines and descriptors stay the same, e.g. make soak MINUTES=30
	go run ./e2e/bench -rows soak -minutes $(MINUTES) $(BENCH_ARGS)

# The ledger. SEED=0 takes a random one, FROM=<git ref> also goes to that version and back. LEDGER_ARGS e.g. -long, or
# LEDGER_ARGS='-shapes allinone -faults "disk full"'.
SEED ?= 0
MINUTES ?= 5
FROM ?=
LEDGER_ARGS ?=

ledger: ## run under faults and check that nothing is lost, e.g. make ledger SEED=7 MINUTES=10 FROM=HEAD~50
	@tools/ledger.sh "$(FROM)" -seed $(SEED) -minutes $(MINUTES) $(LEDGER_ARGS)

ledger-mutations: ## show that the ledger catches builds that are broken on purpose
	@tools/ledger.sh "" -mutations -seed $(if $(filter 0,$(SEED)),1,$(SEED)) -minutes 0.4 $(LEDGER_ARGS)

build: ## build every binary into bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./services/cmd/...

release: .bin/nfpm ## build archives, deb and rpm packages and checksums into dist/, e.g. make release VERSION=1.2.0
	@tools/release.sh $(VERSION)

test-packages: .bin/nfpm ## install, start, upgrade, remove and purge the deb packages (needs root on Debian)
	@tools/packages-test.sh

test-cluster: ## test on three nats-servers that keep each stream three times, and take brokers away
	OUTBOUND_TEST_CLUSTER=1 go test -count=1 -timeout 30m -v -run '^TestCluster$$' ./e2e

test-compose: ## run docker-compose.yml on a container engine and test it there (needs root and docker.io, or BASES=registry)
	@tools/needs.sh busybox redis-server
	@tools/compose-test.sh

test-deploy: ## evaluate alerts and dashboards on a running system
	cd tools/deploytest && GOWORK=off go test -count=1 -timeout 30m -v ./...

test-kube: ## have a real kube-apiserver check every manifest of the chart; it and etcd are built first (ten minutes)
	@mkdir -p .bin/kube
	cd tools/kube && GOWORK=off CGO_ENABLED=0 go build -o ../../.bin/kube/etcd go.etcd.io/etcd/server/v3
	cd tools/kube && GOWORK=off CGO_ENABLED=0 go build -o ../../.bin/kube/kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
	cd tools/deploytest && GOWORK=off OUTBOUND_TEST_KUBE=$(CURDIR)/.bin/kube go test -count=1 -timeout 30m -v -run APIServer ./chart

generate: .bin/buf .bin/protoc-gen-go .bin/oapi-codegen ## generate Go, OpenAPI and a client of it from proto/
	@cd tools/gen && GOWORK=off go run ./protodeps ../../.build/protodeps
	@rm -rf .build/openapi
	.bin/buf lint
	.bin/buf generate
	@mkdir -p proto/openapi
	.bin/openapiv3-merge $$(find .build/openapi -name '*.openapi.json' | sort) > .build/merged.json
	@cd tools/gen && GOWORK=off go run ./openapi < ../../.build/merged.json > ../../.build/openapi.json
	@mv .build/openapi.json proto/openapi/openapi.json
	@mkdir -p .build/client
	.bin/oapi-codegen -config e2e/openapiclient/config.yaml -o .build/client/client.gen.go proto/openapi/openapi.json
	@mv .build/client/client.gen.go e2e/openapiclient/client.gen.go

verify: ## show that generating, formatting and tidying change nothing, and that the contract broke nobody
	@tools/verify.sh $(MODULES)

golden: ## rewrite the golden files; review the diff
	GOLDEN_UPDATE=1 go test -count=1 ./pkg/... ./services/...

screenshots: ## take the pictures in docs/images again
	@tools/needs.sh chromium
	@tools/mail-screenshots.sh
	@go run ./e2e/browser/screenshots

# DASHBOARD_ARGS=-again draws the figures of the last time, '-for 10m' runs for longer.
DASHBOARD_ARGS ?=

dashboards: ## draw the pictures of the dashboards in docs/images again
	@tools/needs.sh chromium
	@cd tools/deploytest && GOWORK=off go run ./pictures $(DASHBOARD_ARGS)

fmt: ## format all Go code
	@gofmt -w $(MODULES) tools

vet: ## go vet
	go vet work

lint: .bin/golangci-lint ## golangci-lint with the rules of .golangci.yml
	@for module in $(filter-out proto,$(MODULES)); do \
	  echo "lint $$module"; (cd $$module && ../.bin/golangci-lint run ./...); done

secrets: ## make the secrets docker-compose.yml needs, those that are missing, into deploy/secrets
	@deploy/make-secrets.sh

clean: ## remove what was built
	rm -rf bin dist sbom .build .data

# What the browser tests check accessibility with.
axe: e2e/browser/axe/node_modules/axe-core/axe.min.js

e2e/browser/axe/node_modules/axe-core/axe.min.js: e2e/browser/axe/package-lock.json
	@tools/needs.sh npm
	@cd e2e/browser/axe && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# What the receivers of docs/examples are run with.
receivers: docs/examples/javascript/node_modules/svix/package.json
	@tools/needs.sh node php

docs/examples/javascript/node_modules/svix/package.json: docs/examples/javascript/package-lock.json
	@tools/needs.sh npm
	@cd docs/examples/javascript && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# The tools are built from the modules under tools/, which pin them.
.bin/buf: tools/buf/go.mod tools/buf/go.sum
	cd tools/buf && CGO_ENABLED=0 GOWORK=off GOBIN=$(CURDIR)/.bin go install tool
	@touch $@

.bin/protoc-gen-go: tools/gen/go.mod tools/gen/go.sum
	cd tools/gen && CGO_ENABLED=0 GOWORK=off GOBIN=$(CURDIR)/.bin go install tool
	@touch $@

.bin/oapi-codegen: tools/client/go.mod tools/client/go.sum
	cd tools/client && CGO_ENABLED=0 GOWORK=off GOBIN=$(CURDIR)/.bin go install tool
	@touch $@

.bin/nfpm: tools/nfpm/go.mod tools/nfpm/go.sum
	cd tools/nfpm && CGO_ENABLED=0 GOWORK=off GOBIN=$(CURDIR)/.bin go install tool
	@touch $@

.bin/govulncheck: tools/supply/go.mod tools/supply/go.sum
	cd tools/supply && CGO_ENABLED=0 GOWORK=off GOBIN=$(CURDIR)/.bin go install tool
	@touch $@

.bin/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	@echo "building golangci-lint; this takes some minutes, once"
	cd tools/lint && CGO_ENABLED=0 GOWORK=off GOBIN=$(CURDIR)/.bin go install tool
	@touch $@
