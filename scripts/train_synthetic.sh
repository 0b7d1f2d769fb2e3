#!/usr/bin/env bash
# The weights in checkpoints/: draw synthetic pictures, train all four stages on them, store the student in 16 bits, measure.
#   bash scripts/train_synthetic.sh cpu|gpu [FOLDER]
# cpu: DM-VTON teaches DM-VTON, 128 x 96, 640 records, no perceptual terms: an hour on two cores.
# gpu: FS-VTON teaches DM-VTON, 256 x 192, 2,000 records, bfloat16. VGG_WEIGHTS=imagenet|PATH|none (imagenet).
# FOLDER (runs/synthetic) gets the pictures and the runs. Run it again after an interruption: what is done is left as it is.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
recipe=${1:-}
folder=${2:-runs/synthetic}
case $recipe in
    cpu)
        teacher=dm_vton records=640 tests=64
        common=(--device cpu --size 128 96 --vgg_weights none --batch_size 4 --workers 1 --lr 5e-4 --print_step 40 --sample_step 80)
        pb_warp=(--niter 2 --niter_decay 1) pb_e2e=(--niter 1 --niter_decay 0)
        pf_warp=(--niter 1 --niter_decay 0) pf_e2e=(--niter 1 --niter_decay 0 --max_steps 80)
        polish=1500 ;; # so few steps are too few for the generators
    gpu)
        teacher=fs_vton records=2000 tests=200
        common=(--device 0 --vgg_weights "${VGG_WEIGHTS:-imagenet}" --batch_size 16 --workers 12 --lr 3e-4 --amp bf16 --sample_step 250)
        pb_warp=(--niter 6 --niter_decay 6) pb_e2e=(--niter 4 --niter_decay 4)
        pf_warp=(--niter 3 --niter_decay 3) pf_e2e=(--niter 6 --niter_decay 6)
        polish=0 ;;
    *) echo "error: give cpu or gpu: bash scripts/train_synthetic.sh cpu|gpu [FOLDER]" >&2; exit 2 ;;
esac
mkdir -p "$folder" && folder=$(cd "$folder" && pwd)
cd "$root"
common+=(--dataroot "$folder/data/VITON_traindata" --project "$folder" --teacher "$teacher" --student dm_vton)
common+=(--align_corners --channels_last --seed 0)

train() { # stage, name of its run, further options
    if [ -e "$folder/$2/weights/state_last.pt" ]; then
        python "train_$1.py" --resume "$folder/$2" "${@:3}"
    else
        python "train_$1.py" --name "$2" "${common[@]}" "${@:3}"
    fi
}

polished() { # pb or pf, Teacher or Student, further weights: prints the file of the stage's generator, trained further if asked for
    local weights="$folder/$2_e2e/weights" out="$folder/$1_gen_polished.pt"
    if [ $polish = 0 ]; then
        echo "$weights/$1_gen_last.pt"
        return
    fi
    [ -e "$out" ] || python -m scripts.polish_generator "$1_e2e" --dataroot "$folder/data/VITON_traindata" --out "$out" "${@:3}" \
        "--$1_warp_checkpoint" "$weights/$1_warp_last.pt" "--$1_gen_checkpoint" "$weights/$1_gen_last.pt" \
        --teacher $teacher --size 128 96 --device cpu --steps $polish >&2
    echo "$out"
}

python -m synthetic --root "$folder/data" --train $records --test $tests --seed 0

train pb_warp Teacher_warp "${pb_warp[@]}"
train pb_e2e Teacher_e2e "${pb_e2e[@]}" --pb_warp_checkpoint "$folder/Teacher_warp/weights/pb_warp_last.pt"

taught=(--pb_warp_checkpoint "$folder/Teacher_e2e/weights/pb_warp_last.pt" --pb_gen_checkpoint "$(polished pb Teacher)")
begin=() first_gen=()
if [ $teacher = dm_vton ]; then # of the same family, so the student need not begin from nothing
    [ -e "$folder/begin" ] || python -m models.checkpoint init --family dm_vton --out "$folder/begin" --teacher "${taught[1]}" "${taught[3]}"
    begin=(--pf_warp_checkpoint "$folder/begin/dm_vton_student_warp.pt")
    first_gen=(--pf_gen_checkpoint "$folder/begin/dm_vton_student_gen.pt")
fi
train pf_warp Student_warp "${pf_warp[@]}" "${taught[@]}" "${begin[@]}"
train pf_e2e Student_e2e "${pf_e2e[@]}" "${taught[@]}" "${first_gen[@]}" \
    --pf_warp_checkpoint "$folder/Student_warp/weights/pf_warp_last.pt"
gen=$(polished pf Student "${taught[@]}")

mkdir -p checkpoints
python -m models.checkpoint convert "$folder/Student_e2e/weights/pf_warp_last.pt" checkpoints/dm_vton_synthetic_warp.safetensors --dtype float16
python -m models.checkpoint convert "$gen" checkpoints/dm_vton_synthetic_gen.safetensors --dtype float16
python test.py --project "$folder" --name student --dataroot "$folder/data/VITON_test" --metrics ssim runtime cost --batch_size 8 \
    --pf_warp_checkpoint checkpoints/dm_vton_synthetic_warp.safetensors --pf_gen_checkpoint checkpoints/dm_vton_synthetic_gen.safetensors
python -m scripts.score_teacher --project "$folder" --dataroot "$folder/data/VITON_test" --batch_size 8 "${taught[@]}"
