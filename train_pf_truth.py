"""Beside the four stages: a student learns both its networks from people with known try-ons.

    python -m synthetic --root drawn --train 8000 --test 200 --truths
    python train_pf_truth.py --dataroot drawn/VITON_traindata --student dm_vton_lite --align_corners \
        --size 128 96 --batch_size 16 --optimizer AdamW --momentum 0.9 --lr 1.5e-3 --schedule cosine \
        --warm_up 200 --grad_clip 5 --ema 0.998 \
        --niter 0 --niter_decay 12 --channels_last --name Student_truth

Reads what `python -m synthetic --truths` writes: VITON's training folders, `train_truths.txt`, `train_gt`.
Needs no teacher, works for every family, and may begin with weights (`--pf_warp_checkpoint`,
`--pf_gen_checkpoint`). Writes a run folder `runs/train/Student_truth`: `weights/` (`pf_warp_last.pt`,
`pf_gen_last.pt`, with `--ema` also the averages `pf_warp_ema_last.pt`, `pf_gen_ema_last.pt`; `state_last.pt`,
from which `--resume` goes on), `samples/`, `log.txt`, TensorBoard events, `opt.yaml`.
"""

import sys

from opt.training import train
from utils.errors import exit_cleanly


@exit_cleanly
def main(arguments: list[str] | None = None) -> int:
    """Train; returns the exit status."""
    return train('pf_truth', arguments)


if __name__ == '__main__':
    sys.exit(main())
