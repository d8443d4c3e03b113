# Every target says what it does: `make help`.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

TOOL := go tool -modfile=deploy/tools/go.mod
FUZZTIME ?= 30s

# The transit server that the tests run against, built from deploy/devvault unless it is set to one built before.
CARDVAULT_TRANSIT_BIN ?= $(CURDIR)/.cache/devvault
export CARDVAULT_TRANSIT_BIN

.PHONY: help
help: ## Show the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: ## Install what the tests need and this machine lacks (Debian, Ubuntu)
	@deploy/setup.sh

.PHONY: build
build: ## Build bin/cardvault
	go build -trimpath -o bin/cardvault ./cmd/cardvault

.PHONY: test
test: setup $(CARDVAULT_TRANSIT_BIN) ## Run every test, on a real PostgreSQL and a real transit server
	go test -race -timeout=20m ./...
	# Under the race detector sync.Pool and crypto/rand allocate, so what must not allocate is tested without it.
	go test -run=Alloc ./crypto/ff1 ./tokenizer/...
	# SQLite in Go is ten times slower under it, where this one does a quarter of its ten thousand.
	go test -run=TableMutations ./vault/ledger

# Never `go mod tidy` there: it wants the tests of the server's own dependencies.
$(CURDIR)/.cache/devvault: $(shell find deploy/devvault -type f)
	cd deploy/devvault && GOFLAGS='-mod=readonly -buildvcs=false' go build -trimpath -ldflags='-s -w' -o $@ .

.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME (30s) each
	@grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' cmd crypto tokenizer vault | sort | { \
	failed=0; \
	while IFS=: read -r file func; do \
		echo "$${func#func } in $${file%/*}"; \
		go test -run='^$$' -fuzz="^$${func#func }\$$" -fuzztime=$(FUZZTIME) "./$${file%/*}" </dev/null || failed=1; \
	done; \
	exit $$failed; }

.PHONY: bench-audit
bench-audit: setup ## Measure the audit log beside baselines of the same minute
	go test -run='^$$' -bench='^BenchmarkAudit' -benchtime=1x -timeout=10m ./cmd/bench

.PHONY: fmt
fmt: ## Format Go and proto files
	$(TOOL) golangci-lint fmt
	$(TOOL) buf format --write proto

.PHONY: lint lint-go lint-proto lint-mod
lint: lint-go lint-proto lint-mod ## Check form, architecture, the wire, generated code and go.mod

# With the formatters of .golangci.yml: gofumpt and goimports.
lint-go:
	$(TOOL) golangci-lint run
	go vet ./...

lint-proto:
	$(TOOL) buf lint proto
	$(TOOL) buf format --diff --exit-code proto
	$(TOOL) buf breaking proto --against proto/released.txtpb
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(TOOL) buf generate --template proto/buf.gen.yaml --output "$$fresh"; \
	generated() { cd "$$1/proto" && find . -name '*.pb.go' -exec sha256sum {} + | sort -k2; }; \
	diff <(generated .) <(generated "$$fresh") || { echo 'proto: generated code is stale, run: make proto' >&2; exit 1; }

lint-mod:
	go mod tidy -diff

.PHONY: proto
proto: ## Generate the Go code of the .proto files
	$(TOOL) buf generate --template proto/buf.gen.yaml

.PHONY: proto-release
proto-release: ## Take the .proto files as released: what lint-proto compares with
	$(TOOL) buf build proto --exclude-source-info --output proto/released.txtpb

.PHONY: clean
clean: ## Remove what was built
	rm -rf .cache bin
