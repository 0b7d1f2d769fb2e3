#!/usr/bin/env bash
# From nothing to a picture: environment, requirements, weights, pictures, try-on, contact sheet.
#   bash scripts/quickstart.sh [FOLDER]     FOLDER: a test set in the VITON layout; without it, synthetic pictures are drawn
set -euo pipefail
if [ -n "${1:-}" ]; then
    [ -d "$1" ] || { echo "error: $1: no such folder; give a test set in the VITON layout, or nothing" >&2; exit 2; }
    set -- "$(cd "$1" && pwd)"
fi
bash "$(dirname "${BASH_SOURCE[0]}")/install.sh"
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
work=runs/quickstart
mkdir -p $work

dataroot=${1:-dataset/VITON-Clean/VITON_test}
if [ -n "${1:-}" ] || [ -d "$dataroot" ]; then
    echo "pictures: $dataroot"
else
    dataroot=$work/synthetic/VITON_test
    echo "pictures: synthetic ones, drawn into $dataroot (bash scripts/download.sh data fetches VITON-Clean)"
    python -m data.synthetic --root $work/synthetic --train 0 --test 16 --seed 0
fi

warp=checkpoints/dmvton_pf_warp.pt
gen=checkpoints/dmvton_pf_gen.pt
if [ ! -e $warp ] || [ ! -e $gen ]; then
    echo "weights: looking for the published ones"
    bash scripts/download.sh checkpoints >$work/download.log 2>&1 || echo "weights: the published ones could not be had, $work/download.log says why"
fi
meaning=""
if [ ! -e $warp ] || [ ! -e $gen ]; then
    warp=$work/untrained/dm_vton_student_warp.pt
    gen=$work/untrained/dm_vton_student_gen.pt
    [ -e $warp ] && [ -e $gen ] || { rm -rf $work/untrained && python -m utils.checkpoint init --family dm_vton --out $work/untrained; }
    meaning="The weights are UNTRAINED, as initialised: these pictures show that everything runs, and mean nothing yet."
fi

python test.py --project runs/test --name quickstart --dataroot "$dataroot" --pf_warp_checkpoint $warp --pf_gen_checkpoint $gen \
    --batch_size 4 --workers 2
[ -z "$meaning" ] || echo "$meaning"
