#!/usr/bin/env bash
# The four published stages on drawn pictures, for a GPU: FS-VTON teaches DM-VTON, 256 x 192, 2,000 records, bfloat16.
#   bash scripts/train_synthetic.sh [FOLDER]
# VGG_WEIGHTS=imagenet|PATH|none (imagenet). FOLDER (runs/synthetic) gets the pictures and the runs, and the student in 16 bits.
# Run it again after an interruption: what is done is left as it is.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${1:-runs/synthetic}
mkdir -p "$folder" && folder=$(cd "$folder" && pwd)
cd "$root"
common=(--device 0 --vgg_weights "${VGG_WEIGHTS:-imagenet}" --batch_size 16 --workers 12 --lr 3e-4 --amp bf16 --sample_step 250)
common+=(--dataroot "$folder/data/VITON_traindata" --project "$folder" --teacher fs_vton --student dm_vton)
common+=(--align_corners --channels_last --seed 0)

train() { # stage, name of its run, further options
    if [ -e "$folder/$2/weights/state_last.pt" ]; then
        python "train_$1.py" --resume "$folder/$2" "${@:3}"
    else
        python "train_$1.py" --name "$2" "${common[@]}" "${@:3}"
    fi
}

python -m synthetic --root "$folder/data" --train 2000 --test 200 --seed 0

train pb_warp Teacher_warp --niter 6 --niter_decay 6
train pb_e2e Teacher_e2e --niter 4 --niter_decay 4 --pb_warp_checkpoint "$folder/Teacher_warp/weights/pb_warp_last.pt"

taught=(--pb_warp_checkpoint "$folder/Teacher_e2e/weights/pb_warp_last.pt")
taught+=(--pb_gen_checkpoint "$folder/Teacher_e2e/weights/pb_gen_last.pt")
train pf_warp Student_warp --niter 3 --niter_decay 3 "${taught[@]}"
train pf_e2e Student_e2e --niter 6 --niter_decay 6 "${taught[@]}" \
    --pf_warp_checkpoint "$folder/Student_warp/weights/pf_warp_last.pt"

for part in warp gen; do
    python -m models.checkpoint convert "$folder/Student_e2e/weights/pf_${part}_last.pt" "$folder/student_$part.safetensors" \
        --dtype float16
done
python test.py --project "$folder" --name student --dataroot "$folder/data/VITON_test" --metrics ssim runtime cost --batch_size 8 \
    --pf_warp_checkpoint "$folder/student_warp.safetensors" --pf_gen_checkpoint "$folder/student_gen.safetensors"
