#!/usr/bin/env bash
# Stage 4 of 4, the student's warp network and generator, with the published settings (one GPU).
#   bash scripts/train_pf_e2e.sh [further options of train_pf_e2e.py]
# Variables: DATAROOT (found where download.sh and data.convert leave it), PROJECT (runs/train), where stages 2 and 3 have left their runs; VALROOT, a test
# set, keeps the networks of the lowest FID as well: the VITON_test that is found, if there is one; VALROOT= for none.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/data_folders.sh"

project=${PROJECT:-runs/train}
valroot=${VALROOT-$(find_set test)}
[ -e "$valroot/test_pairs.txt" ] || [ -n "${VALROOT:-}" ] || valroot=

python "$(dirname "$0")/../train_pf_e2e.py" \
    --dataroot "${DATAROOT:-$(find_set train)}" --project "$project" --name Student_e2e \
    ${valroot:+--valroot "$valroot"} \
    --pb_warp_checkpoint "$project/Teacher_e2e/weights/pb_warp_last.pt" \
    --pb_gen_checkpoint "$project/Teacher_e2e/weights/pb_gen_last.pt" \
    --pf_warp_checkpoint "$project/Student_warp/weights/pf_warp_last.pt" \
    --align_corners --batch_size 6 --workers 16 --lr 5e-5 --niter 50 --niter_decay 50 \
    --save_period 20 --print_step 200 --sample_step 1000 "$@"
