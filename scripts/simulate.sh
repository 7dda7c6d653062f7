#!/usr/bin/env bash
# Writes the report of docs/simulation.md, from public rows, traces and pairs, and takes its plots
# into docs/images/.
#
#   scripts/simulate.sh [OUT]
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:-target/simulation}
data=${POINTSMAN_DATA:-../shared/data}
rows=$data/routing/mix.jsonl.gz
trace=$data/traces/AzureLLMInferenceTrace_conv.csv.gz
pairs=$data/cache/qqp_pairs.jsonl.gz
for file in "$rows" "$trace" "$pairs"; do
    if [ ! -f "$file" ]; then
        echo "error: $file is missing" >&2
        echo "hint: POINTSMAN_DATA names the directory of the public data" >&2
        exit 2
    fi
done
target/release/pointsman simulate study --data "$rows" --trace "$trace" --pairs "$pairs" --out "$out"
mkdir -p docs/images
cp "$out"/{strategies,strategies-drift,compounding,spending}.svg docs/images/
