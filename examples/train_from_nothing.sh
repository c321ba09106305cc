#!/usr/bin/env bash
# Train everything from nothing: the proxies that learn, the inverse model, the reranker of its candidates; bundle
# the weights. About two and a half hours on two CPU cores; every command resumes when it is run again.
#
#   bash examples/train_from_nothing.sh [DIR]      data in DIR/data, runs in DIR/runs
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-.}

while read -r effect steps; do
    unmix gen-data --effect "$effect" --count 2000 --seed 1 --out "$dir/data/$effect"
    unmix train-proxy --effect "$effect" --data "$dir/data/$effect" --out "$dir/runs/$effect" --steps "$steps"
done <<'STEPS'
saturator 2500
eq 4000
ott 1000
reverb 2500
STEPS
python "$here/bundle_weights.py" "$dir/runs"

unmix gen-data --chains --count 100000 --seed 1 --out "$dir/data/chains"
unmix train --data "$dir/data/chains" --out "$dir/runs/inverse" --minutes 70
python "$here/bundle_weights.py" "$dir/runs"

unmix gen-data --candidates --count 20000 --seed 1 --out "$dir/data/candidates"
unmix train-reranker --data "$dir/data/candidates" --out "$dir/runs/reranker"
python "$here/bundle_weights.py" "$dir/runs"

unmix evaluate proxies --workers 2
unmix evaluate chains --workers 2
unmix evaluate refine --count 10 --workers 2 --out "$dir/figures"
