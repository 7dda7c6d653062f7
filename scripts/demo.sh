#!/bin/sh
# Builds the demo driver, finds Envoy and runs the demo. `make demo` builds the filter first.
set -eu
cd "$(dirname -- "$0")/.."
envoy=$(scripts/get-envoy.sh)
cargo build --release --locked --quiet --example demo
# No cargo in between: Ctrl-C and the exit code are the demo's own.
exec target/release/examples/demo --envoy "$envoy"
