# The one recipe file, for people and CI alike. `make` alone lists what it can do.
#
# No cluster is needed: what has to run on Kubernetes runs on a control plane of its own (tests/control-plane), which is
# there in seconds. Only the very first time it may have to be built, which takes minutes.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help build crds chart roles command-line image fmt lint deny unit integration test demo control-plane clean

CONTROL_PLANE := tests/control-plane/control-plane run
# The demo and the shell find `portal-operator` by name, as a user would.
BIN := $(abspath $(or $(CARGO_TARGET_DIR),target))/debug

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the operator (debug)
	cargo build

crds: ## write crds/ and the chart's copies from the Rust types
	cargo run -q -- crds --dir crds
	cargo run -q -- crds --dir charts/portal-operator/files/crds

chart: ## write the README of the chart from its values
	WRITE=1 cargo test -q --test chart the_readme

roles: ## write the tables of docs/roles.md from examples/portals
	WRITE=1 cargo test -q --test docs the_tables_of_roles

command-line: ## write the reference of docs/command-line.md from --help
	WRITE=1 cargo test -q --test docs the_reference

image: ## make the image of the operator with buildah, without a daemon (PROFILE=dev: quickly)
	.ci/image

fmt: ## format the code
	cargo fmt

lint: ## check format and clippy's lints, warnings count as errors
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

deny: ## check licences, banned crates, sources and, where possible, advisories
	tests/tools/cargo-deny

unit: ## run the tests that need nothing but the crate and its files
	cargo test --lib --test house --test docs --test lint --test mails

# Compiled first, so that the control plane does not idle while cargo works. KEEP=1 leaves its folder behind. The order
# matters: crowds are timed and want the machine to themselves, one target kills the API server, and the last one reads
# what all have left behind.
integration: ## run the tests that need Kubernetes, on a control plane of their own (ARGS='NAME -- --nocapture')
	cargo test --test '*' --no-run
	$(CONTROL_PLANE) $(if $(KEEP),--keep) -- $(or $(and $(ARGS),cargo test --test suite $(ARGS)),bash -euc '$(ALL)')

ALL := cargo test --test suite -- --skip crowd::; cargo test --test suite crowd:: -- --test-threads=1; \
  cargo test --test policies; cargo test --test chart; cargo test --test restart; cargo test --test leaks

test: lint deny unit integration ## run all of the above: what CI runs

demo: build ## show the operator at work, on a control plane of its own (CI=1: without waiting for anybody)
	PATH="$(BIN):$$PATH" $(CONTROL_PLANE) -- examples/demo/run

control-plane: build ## open a shell beside a control plane, with kubectl and portal-operator on PATH
	PATH="$(BIN):$$PATH" $(CONTROL_PLANE) -- bash -i

clean: ## remove what cargo built (the control plane stays in the cache folder)
	cargo clean
