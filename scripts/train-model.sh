#!/usr/bin/env bash
# Trains the model that is compiled into the filter, from permissively licensed rows only. The same
# rows give the same files, byte for byte.
#
#   scripts/train-model.sh [OUT]
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:-model}
data=${POINTSMAN_ROUTING_DATA:-../shared/data/routing}
sets=(routellm_mmlu routellm_gsm8k routellm_mtbench mmlu_pro zeroeval_gsm zeroeval_math arena_bench)

files=()
for set in "${sets[@]}"; do
    file=$data/$set.jsonl.gz
    if [ ! -f "$file" ]; then
        echo "error: $file is missing" >&2
        echo "hint: POINTSMAN_ROUTING_DATA names the directory of the labelled rows" >&2
        exit 2
    fi
    files+=("$file")
done
target/release/pointsman train --seed 1 --notes model/DATA.md --out "$out" --data "${files[@]}"
