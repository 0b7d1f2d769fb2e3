#!/usr/bin/env bash
# Test the published DM-VTON student on the VITON-Clean test set. Set the variables to test something else (relative paths are
# from the project's root); arguments go to test.py:
#   DATAROOT=my_set WARP=mine_warp.pt GEN=mine_gen.pt bash scripts/test.sh --device cpu
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
. scripts/data_folders.sh
python test.py \
    --project runs/test \
    --name "${NAME:-DM-VTON_demo}" \
    --dataroot "${DATAROOT:-$(find_set test)}" \
    --pf_warp_checkpoint "${WARP:-checkpoints/dmvton_pf_warp.pt}" \
    --pf_gen_checkpoint "${GEN:-checkpoints/dmvton_pf_gen.pt}" \
    --batch_size "${BATCH_SIZE:-1}" \
    --workers "${WORKERS:-4}" \
    "$@"
