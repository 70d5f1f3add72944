# What it takes to check this module. On a fresh Debian with Go, `make check` installs what is missing and does all of it;
# the network is needed for the Go module proxy and for apt. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO ?= go
GOFMT ?= $(shell $(GO) env GOROOT)/bin/gofmt
FUZZTIME ?= 1m
TORTURE ?= 2m
BENCH ?= .
TEST_FLAGS ?= -race -timeout 20m

VERSITYGW_VERSION := v1.8.0
STATICCHECK_VERSION := v0.8.2
RCLONE_VERSION := v1.76.0
AWS_SDK_JS_VERSION := 3.1138.0

# A stamp says which version is in bin, built with which Go: staticcheck must not be older than the code it reads.
GOVERSION := $(shell $(GO) env GOVERSION)
VERSITYGW_STAMP := bin/.versitygw-$(VERSITYGW_VERSION)-$(GOVERSION)
STATICCHECK_STAMP := bin/.staticcheck-$(STATICCHECK_VERSION)-$(GOVERSION)
RCLONE_STAMP := bin/.rclone-$(RCLONE_VERSION)-$(GOVERSION)
AWS_SDK_JS_STAMP := bin/node/.aws-sdk-js-$(AWS_SDK_JS_VERSION)

.PHONY: help check lint vet staticcheck tidy examples test quick tools system-tools torture fuzz bench bench-tools bench-go bench-stores clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

check: lint tidy examples test ## everything; exactly what CI runs

lint: vet staticcheck ## gofmt, go vet and staticcheck
	@unformatted="$$($(GOFMT) -l .)"; if [ -n "$$unformatted" ]; then echo "gofmt these files:"; echo "$$unformatted"; exit 1; fi

vet:
	$(GO) vet ./...

staticcheck: $(STATICCHECK_STAMP)
	bin/staticcheck ./...

tidy: ## fail if go.mod or go.sum is not what `go mod tidy` makes of it
	$(GO) mod tidy -diff

examples: ## build the examples into bin and run the quickstart
	$(GO) build -o bin/ ./examples/...
	$(GO) run ./examples/quickstart

test: tools ## all tests with the race detector; nothing may be skipped for want of a program
	TRANSFER_TEST_REQUIRE=1 $(GO) test $(TEST_FLAGS) ./...

quick: ## what can be tested with Go alone, and what that leaves out
	@mkdir -p bin
	$(GO) test -v ./... >bin/quick.log 2>&1 || { grep -vE '^ *(=== |--- PASS)' bin/quick.log; exit 1; }
	@grep -E '^ok\s' bin/quick.log; grep -oE 'skipped: .*' bin/quick.log | sort | uniq -c || true

tools: system-tools $(VERSITYGW_STAMP) $(STATICCHECK_STAMP) $(AWS_SDK_JS_STAMP) ## install what the tests and linters need: Debian packages, and programs into bin

# sshd, PostgreSQL, openssl, GnuPG and Bouncy Castle on Java for the tests, a C compiler for the race detector; PEERS=1 adds what
# bench compares with.
system-tools:
	@packages=""; \
	if [ -n "$(PEERS)" ]; then \
		command -v sftp >/dev/null || packages="$$packages openssh-client"; \
		command -v lftp >/dev/null || packages="$$packages lftp"; \
	fi; \
	[ -x /usr/sbin/sshd ] || command -v sshd >/dev/null || packages="$$packages openssh-server openssh-client"; \
	command -v "$$($(GO) env CC)" >/dev/null || packages="$$packages gcc libc6-dev"; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || packages="$$packages postgresql"; \
	command -v openssl >/dev/null || packages="$$packages openssl"; \
	command -v gpg >/dev/null || packages="$$packages gnupg"; \
	command -v javac >/dev/null || packages="$$packages default-jdk-headless"; \
	for jar in bcprov bcutil bcpkix; do [ -e /usr/share/java/$$jar.jar ] || packages="$$packages lib$$jar-java"; done; \
	if [ -z "$$packages" ]; then exit 0; fi; \
	sudo=""; if [ "$$(id -u)" != 0 ]; then sudo="sudo -n"; fi; \
	if ! command -v apt-get >/dev/null || ! $$sudo true 2>/dev/null; then \
		echo "missing:$$packages (install them by hand; this needs apt-get and root, or sudo without a password)"; exit 1; \
	fi; \
	set -x; \
	$$sudo apt-get update -q; \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$packages

$(VERSITYGW_STAMP):
	GOBIN=$(CURDIR)/bin $(GO) install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_VERSION)
	rm -f bin/.versitygw-* && touch $@

$(STATICCHECK_STAMP):
	GOBIN=$(CURDIR)/bin $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)
	rm -f bin/.staticcheck-* && touch $@

$(RCLONE_STAMP):
	GOBIN=$(CURDIR)/bin $(GO) install github.com/rclone/rclone@$(RCLONE_VERSION)
	rm -f bin/.rclone-* && touch $@

# AWS's JavaScript SDK, for one test of awsapi, where there are Node.js and npm; without them that test is skipped.
$(AWS_SDK_JS_STAMP):
	@mkdir -p bin/node
	@if ! command -v npm >/dev/null; then echo "no npm: the test with AWS's JavaScript SDK will be skipped"; \
	elif npm install --prefix bin/node --no-save --no-audit --no-fund --ignore-scripts @aws-sdk/client-transfer@$(AWS_SDK_JS_VERSION); then touch $@; \
	else echo "npm cannot install it: the test with AWS's JavaScript SDK will be skipped"; fi

torture: tools ## kill workers at random for two minutes (TORTURE=2m) between OpenSSH and S3, on SQLite and on PostgreSQL
	TRANSFER_TEST_REQUIRE=1 TRANSFER_TORTURE=$(TORTURE) $(GO) test -v -count=1 -timeout 30m -run '^TestTorture$$' ./internal/endtoend

fuzz: ## each fuzz target for a minute (FUZZTIME=1m)
	@grep -rE --include='*_test.go' '^func Fuzz' . | sed -E 's/^(.*)\/[^/]+:func (Fuzz[A-Za-z0-9_]*).*/\1 \2/' | \
	while read -r package name; do \
		echo "$(GO) test -run '^$$' -fuzz '^$$name$$' -fuzztime $(FUZZTIME) $$package"; \
		$(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) "$$package"; \
	done

bench: bench-tools ## this library beside rclone, OpenSSH's sftp and lftp: writes the table of docs/performance.md (half an hour)
	$(GO) run ./bench/peers -o docs/performance.md

bench-tools: PEERS := 1
bench-tools: system-tools $(VERSITYGW_STAMP) $(RCLONE_STAMP) ## install what bench compares with

bench-go: ## all Go benchmarks, or those that BENCH matches
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...

bench-stores: ## the stores side by side, at a million rows: writes the tables of docs/performance.md (half an hour)
	$(GO) run ./bench/stores -o docs/performance.md

clean: ## remove bin
	rm -rf bin
