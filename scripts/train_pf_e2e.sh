#!/usr/bin/env bash
# Stage 4 of 4, the student's warp network and generator, with the published settings (one GPU).
#   bash scripts/train_pf_e2e.sh [further options of train_pf_e2e.py]
# Variables: DATAROOT (VITON_traindata), PROJECT (runs/train), where stages 2 and 3 have left their runs; VALROOT, a test
# set such as VITON_test, keeps the networks of the lowest FID as well.
set -euo pipefail

project=${PROJECT:-runs/train}

python "$(dirname "$0")/../train_pf_e2e.py" \
    --dataroot "${DATAROOT:-VITON_traindata}" --project "$project" --name Student_e2e \
    ${VALROOT:+--valroot "$VALROOT"} \
    --pb_warp_checkpoint "$project/Teacher_e2e/weights/pb_warp_last.pt" \
    --pb_gen_checkpoint "$project/Teacher_e2e/weights/pb_gen_last.pt" \
    --pf_warp_checkpoint "$project/Student_warp/weights/pf_warp_last.pt" \
    --align_corners --batch_size 6 --workers 16 --lr 5e-5 --niter 50 --niter_decay 50 \
    --save_period 20 --print_step 200 --sample_step 1000 "$@"
