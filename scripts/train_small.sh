#!/usr/bin/env bash
# The small model from drawings, as checkpoints/dm_vton_lite_drawn_* was made: the warp network alone on 128 x 96, both
# networks there, the warp network alone with the batch norms' statistics frozen, there and on 256 x 192 with a heavier
# structural term, then the generator alone on 256 x 192.
#   bash scripts/train_small.sh [FOLDER]
# RECORDS (9344, and as many varied ones), TESTS (200), DEVICE (cpu). FOLDER (runs/small) gets pictures, runs and the
# averaged weights in 16 bits. Run it again after an interruption: what is done is left as it is. docs/small_model.md
# says what it takes.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${1:-runs/small}
mkdir -p "$folder" && folder=$(cd "$folder" && pwd)
cd "$root"
common=(--dataroot "$folder/data/VITON_traindata" --mix_dataroot "$folder/varied/VITON_traindata" --mix_share 0.6)
common+=(--project "$folder" --student dm_vton_lite --align_corners --channels_last)
common+=(--device "${DEVICE:-cpu}" --workers 1 --batch_size 16 --optimizer AdamW --momentum 0.9 --grad_clip 5 --ema 0.998)
common+=(--schedule cosine --warm_up 200 --niter 0 --seed 0)

train() { # name of the run, further options
    if [ -e "$folder/$1/weights/state_last.pt" ]; then
        python train_pf_truth.py --resume "$folder/$1"
    else
        python train_pf_truth.py --name "$1" "${common[@]}" "${@:2}"
    fi
}

draw=(--train "${RECORDS:-9344}" --truths --seed 1000 --workers 2)
python -m synthetic --root "$folder/data" --test "${TESTS:-200}" "${draw[@]}"
python -m synthetic --root "$folder/varied" --test 0 --varied "${draw[@]}"

begin_with() { # name of a run, whose averaged weights the next one begins with
    local weights=$folder/$1/weights
    begin=(--pf_warp_checkpoint "$weights/pf_warp_ema_last.pt" --pf_gen_checkpoint "$weights/pf_gen_ema_last.pt")
}

train warp --part warp --size 128 96 --lr 1.5e-3 --niter_decay 8
begin_with warp
train small --size 128 96 --lr 1e-3 --niter_decay 4 "${begin[@]}"
begin_with small
train fine --part warp --size 128 96 --lr 5e-4 --freeze_bn --niter_decay 4 "${begin[@]}"
begin_with fine
train sharp --part warp --size 256 192 --lr 3e-4 --freeze_bn --warped_structure 1.2 --niter_decay 2 "${begin[@]}"
begin_with sharp
train large --part generator --size 256 192 --lr 6e-4 --niter_decay 2 "${begin[@]}"

for part in warp gen; do
    python -m models.checkpoint convert "$folder/large/weights/pf_${part}_ema_last.pt" "$folder/dm_vton_lite_drawn_$part.safetensors" \
        --dtype float16
done
python test.py --project "$folder" --name drawn --dataroot "$folder/data/VITON_test" --metrics ssim runtime cost --batch_size 8 \
    --pf_warp_checkpoint "$folder/dm_vton_lite_drawn_warp.safetensors" --pf_gen_checkpoint "$folder/dm_vton_lite_drawn_gen.safetensors"
