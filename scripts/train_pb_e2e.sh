#!/usr/bin/env bash
# Stage 2 of 4, the teacher's warp network and generator, with the published settings (one GPU).
#   bash scripts/train_pb_e2e.sh [further options of train_pb_e2e.py]
# Variables: DATAROOT (found where download.sh and data.convert leave it), PROJECT (runs/train), where stage 1 has left its run.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/data_folders.sh"

project=${PROJECT:-runs/train}

python "$(dirname "$0")/../train_pb_e2e.py" \
    --dataroot "${DATAROOT:-$(find_set train)}" --project "$project" --name Teacher_e2e \
    --pb_warp_checkpoint "$project/Teacher_warp/weights/pb_warp_last.pt" \
    --align_corners --batch_size 14 --workers 16 --lr 5e-5 --niter 50 --niter_decay 50 \
    --save_period 20 --print_step 200 --sample_step 1000 "$@"
