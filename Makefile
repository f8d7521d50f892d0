# `make` without a target lists the targets.

machine := tests/machine
cargo := cargo
# End-to-end tests are the functions e2e_* and the measurements bench_*, all of one test binary. They
# boot VMs; an emulated one keeps one processor busy, so two at a time suit two processors.
# With the features of the whole workspace, as in `unit`, so that what was compiled there is used again.
e2e := $(machine)/run.sh $(cargo) test --locked --workspace --all-features --test e2e --

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: quickstart
quickstart: packages ## build an image on the local libvirt with live progress, then boot it
	@mkdir -p .cache/hello && cp examples/containers/hello/* /bin/busybox .cache/hello/
	@$(machine)/run.sh $(cargo) run --locked -p cloudd-examples --features libvirt \
		--example quickstart_libvirt -- --context .cache/hello

.PHONY: test
test: ## setup, lint, package, unit and e2e: what CI runs
	@$(machine)/steps.sh setup $(lints) package unit e2e

.PHONY: setup
setup: packages ## install what the tests need and is missing
	@$(machine)/cargo-deny.sh

.PHONY: packages
packages: ## install the missing Debian packages
	@$(machine)/install.sh

.PHONY: package
package: ## build each crate from its package, and the program of README.md from the packages
	@$(machine)/package.sh

.PHONY: unit
unit: ## unit, contract, golden, libvirt and documentation tests: nothing that boots a Linux guest
	@$(machine)/libvirtd.sh start
	$(cargo) test --locked --workspace --all-features --no-fail-fast -- --skip e2e_ --skip bench_

.PHONY: e2e
e2e: ## build and boot real images on the local libvirt
	$(e2e) --test-threads=2 --skip e2e_debian --skip e2e_full e2e_
	$(cargo) build --locked --workspace --all-features --examples
	$(machine)/run.sh $(cargo) test --locked --workspace --all-features --no-fail-fast --test stories --test tool -- e2e_

# Not part of `test`, whose time is limited.
.PHONY: e2e-full
e2e-full: ## everything that `test` leaves out: more real images, Debian, the long walk of the lease model
	@$(machine)/steps.sh setup e2e-more e2e-debian lease-model

.PHONY: e2e-more
e2e-more: ## failures and crashes on real guests that tests without a VM cover as well
	$(e2e) --test-threads=2 e2e_full

.PHONY: lease-model
lease-model: ## walk the model of the lease with three preemptions, some minutes
	$(cargo) test --locked --workspace --all-features --test lease_model -- --nocapture e2e_

# An emulated machine that installs a distribution needs as long as a dozen other builds.
.PHONY: e2e-debian
e2e-debian: ## install Debian from its packages on the local libvirt, and log in to its image
	$(e2e) --nocapture e2e_debian

.PHONY: bench-e2e
bench-e2e: ## time every phase of a build, each way into stage 2, and the original's pipeline
	$(e2e) --test-threads=1 --nocapture bench_

.PHONY: bench-api
bench-api: ## count the API requests of one build and of a hundred at once on Hetzner Cloud
	HCLOUD_SIM_SPEED=4 $(cargo) test --locked -p cloudd-tests --test hcloud_build -- --test-threads=1 --nocapture api_

.PHONY: fuzz
fuzz: ## fuzz the parser of guest events for FUZZ_SECONDS (60); needs cargo-fuzz and nightly
	mkdir -p cloudd-core/fuzz/corpus
	cd cloudd-core && $(cargo) +nightly fuzz run guest_events fuzz/corpus fuzz/seeds -- \
		-dict=fuzz/guest_events.dict -max_len=65536 -max_total_time=$${FUZZ_SECONDS:-60}

.PHONY: stop
stop: ## stop the daemons that the tests started
	@$(machine)/libvirtd.sh stop

lints := fmt clippy docs shellcheck deny msrv semver

.PHONY: lint
lint: ## all of: fmt clippy docs shellcheck deny msrv semver
	@$(machine)/steps.sh $(lints)

.PHONY: fmt
fmt:
	$(cargo) fmt --all --check

.PHONY: clippy
clippy:
	$(cargo) clippy --locked --workspace --all-targets --all-features -- -D warnings
	@# The fuzz target is no member of the workspace; a path in place of libFuzzer, which is not linked
	@# here, saves compiling that.
	CUSTOM_LIBFUZZER_PATH=/dev/null $(cargo) clippy --locked --manifest-path cloudd-core/fuzz/Cargo.toml \
		--target-dir target/fuzz -- -D warnings

.PHONY: docs
docs:
	RUSTDOCFLAGS="-D warnings" $(cargo) doc --locked --workspace --no-deps --all-features
	@# A link for readers of the repository that has no item to lead to on docs.rs.
	@! grep -rnoE 'href="[^":#]*\.(md|rs)(#[^"]*)?"' target/doc/cloudd_core target/doc/cloudd_hcloud target/doc/cloudd_libvirt

.PHONY: shellcheck
shellcheck:
	@$(machine)/shellcheck.sh

.PHONY: deny
deny:
	@$(machine)/deny.sh

.PHONY: msrv
msrv:
	@$(machine)/msrv.sh

.PHONY: semver
semver:
	@$(machine)/semver.sh
