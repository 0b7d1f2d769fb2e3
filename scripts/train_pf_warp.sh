#!/usr/bin/env bash
# Stage 3 of 4, the student's warp network, with the published settings (one GPU).
#   bash scripts/train_pf_warp.sh [further options of train_pf_warp.py]
# Variables: DATAROOT (found where download.sh and data.convert leave it), PROJECT (runs/train), where stage 2 has left its run.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/data_folders.sh"

project=${PROJECT:-runs/train}

python "$(dirname "$0")/../train_pf_warp.py" \
    --dataroot "${DATAROOT:-$(find_set train)}" --project "$project" --name Student_warp \
    --pb_warp_checkpoint "$project/Teacher_e2e/weights/pb_warp_last.pt" \
    --pb_gen_checkpoint "$project/Teacher_e2e/weights/pb_gen_last.pt" \
    --align_corners --batch_size 8 --workers 16 --lr 5e-5 --niter 50 --niter_decay 50 \
    --save_period 20 --print_step 200 --sample_step 1000 "$@"
