#!/usr/bin/env bash
# From nothing to a picture: environment, requirements, weights, pictures, try-on, contact sheet.
#   bash scripts/quickstart.sh [FOLDER]
# Without FOLDER: drawn persons, dressed by the weights that come with the project, which were trained on such drawings.
# FOLDER: a test set of photographs in the VITON layout, dressed by the published weights if they can be had.
set -euo pipefail
if [ -n "${1:-}" ]; then
    [ -d "$1" ] || { echo "error: $1: no such folder; give a test set in the VITON layout, or nothing" >&2; exit 2; }
    set -- "$(cd "$1" && pwd)"
fi
bash "$(dirname "${BASH_SOURCE[0]}")/install.sh"
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
work=runs/quickstart
mkdir -p $work

warp=checkpoints/dm_vton_synthetic_warp.safetensors
gen=checkpoints/dm_vton_synthetic_gen.safetensors
meaning="The weights are those that come with the project, trained on drawn pictures alone: checkpoints/README.md."
if [ -n "${1:-}" ]; then
    dataroot=$1
    published=(checkpoints/dmvton_pf_warp.pt checkpoints/dmvton_pf_gen.pt)
    if [ ! -e ${published[0]} ] || [ ! -e ${published[1]} ]; then
        echo "weights: looking for the published ones"
        bash scripts/download.sh checkpoints >$work/download.log 2>&1 || echo "weights: the published ones could not be had, $work/download.log says why"
    fi
    if [ -e ${published[0]} ] && [ -e ${published[1]} ]; then
        warp=${published[0]} gen=${published[1]}
        meaning="The weights are the published ones."
    else
        meaning="$meaning On photographs they show that everything runs, no more."
    fi
else
    dataroot=$work/synthetic/VITON_test
    echo "pictures: drawn ones, into $dataroot"
    python -m synthetic --root $work/synthetic --train 0 --test 16 --seed 0
fi

python test.py --project runs/test --name quickstart --dataroot "$dataroot" --pf_warp_checkpoint $warp --pf_gen_checkpoint $gen \
    --batch_size 4 --workers 2
echo "$meaning"
