#!/usr/bin/env bash
# Trains the model that is compiled into the filter. The same rows give the same files, byte for byte.
#
#   scripts/train-model.sh [OUT]              judged requests of model/data and public prompts, and
#                                             public outcomes for the second score
#   scripts/train-model.sh --authored [OUT]   the rows in this repository alone
set -euo pipefail
cd "$(dirname "$0")/.."

program=${POINTSMAN:-target/release/pointsman}
files=(model/data/requests.jsonl.gz model/data/pairs.jsonl.gz)
gain=()
if [ "${1:-}" = --authored ]; then
    shift
    out=${1:-target/model-authored}
else
    out=${1:-model}
    public=${POINTSMAN_JUDGED_DATA:-../shared/data/judged}/public.jsonl.gz
    if [ ! -f "$public" ]; then
        echo "error: $public is missing" >&2
        echo "hint: POINTSMAN_JUDGED_DATA names its directory; --authored does without it" >&2
        exit 2
    fi
    mkdir -p target/model
    # Only prompts whose licence lets a model be shipped that was trained on them.
    python3 - "$public" target/model/public-judged.jsonl <<'PYTHON'
import gzip
import json
import sys

with gzip.open(sys.argv[1], "rt") as rows, open(sys.argv[2], "w", encoding="utf-8") as kept:
    kept.writelines(row for row in rows if json.loads(row)["ship"])
PYTHON
    files+=(target/model/public-judged.jsonl)
    # Only outcomes that are published under Apache-2.0.
    routing=${POINTSMAN_ROUTING_DATA:-../shared/data/routing}
    gain=(--gain-data)
    for name in routellm_mmlu routellm_gsm8k routellm_mtbench mmlu_pro zeroeval_gsm zeroeval_math \
        arena_bench; do
        gain+=("$routing/$name.jsonl.gz")
    done
fi
"$program" train --seed 1 --objective satisfy --notes model/DATA.md --out "$out" \
    --data "${files[@]}" "${gain[@]}"
