#!/usr/bin/env bash
# From nothing to a picture: environment, requirements, weights, pictures, try-on, contact sheet.
#   bash scripts/quickstart.sh [FOLDER]
# Without FOLDER: drawn persons, dressed by the small model's weights that were trained on drawings alone.
# FOLDER: a test set of photographs in the VITON layout, dressed by those trained on VITON (research, non-commercial).
# WEIGHTS=drawn|viton says otherwise.
set -euo pipefail
if [ -n "${1:-}" ]; then
    [ -d "$1" ] || { echo "error: $1: no such folder; give a test set in the VITON layout, or nothing" >&2; exit 2; }
    set -- "$(cd "$1" && pwd)"
fi
bash "$(dirname "${BASH_SOURCE[0]}")/install.sh"
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
work=runs/quickstart
mkdir -p $work

if [ -n "${1:-}" ]; then
    dataroot=$1
    weights=${WEIGHTS:-viton}
else
    dataroot=$work/synthetic/VITON_test
    weights=${WEIGHTS:-drawn}
    echo "pictures: drawn ones, into $dataroot"
    python -m synthetic --root $work/synthetic --train 0 --test 16 --seed 0
fi
case $weights in
    drawn) meaning="The weights are the small model's, trained on drawings alone, free to use: checkpoints/README.md." ;;
    viton) meaning="The weights are the small model's, trained on VITON: for research, non-commercial; WEIGHTS=drawn takes those without photographs." ;;
    *) echo "error: WEIGHTS=$weights: choose from drawn, viton" >&2; exit 2 ;;
esac
warp=checkpoints/dm_vton_lite_${weights}_warp.safetensors
gen=checkpoints/dm_vton_lite_${weights}_gen.safetensors

python test.py --project runs/test --name quickstart --dataroot "$dataroot" --pf_warp_checkpoint $warp --pf_gen_checkpoint $gen \
    --batch_size 4 --workers 2
echo "$meaning"
