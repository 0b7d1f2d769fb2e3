#!/usr/bin/env bash
# Stage 1 of 4, the teacher's warp network, with the published settings (one GPU).
#   bash scripts/train_pb_warp.sh [further options of train_pb_warp.py]
# Variables: DATAROOT (found where download.sh and data.convert leave it), PROJECT (runs/train).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/data_folders.sh"

project=${PROJECT:-runs/train}

python "$(dirname "$0")/../train_pb_warp.py" \
    --dataroot "${DATAROOT:-$(find_set train)}" --project "$project" --name Teacher_warp \
    --align_corners --batch_size 18 --workers 16 --lr 5e-5 --niter 50 --niter_decay 50 \
    --save_period 20 --print_step 200 --sample_step 1000 "$@"
