"""Beside the four stages: the teacher learns both its networks from people in their own garments.

    python train_pb_truth.py --dataroot VITON_traindata --teacher dm_vton_lite --align_corners \\
        --size 128 96 --batch_size 16 --optimizer AdamW --momentum 0.9 --lr 1e-3 --schedule cosine \\
        --warm_up 100 --grad_clip 5 --ema 0.995 \\
        --niter 0 --niter_decay 3 --channels_last --name Teacher_truth

Reads VITON's training folders; where the set has truths (`python -m synthetic --truths`), the true flows of
own garments, too. May begin with weights (`--pb_warp_checkpoint`, `--pb_gen_checkpoint`), for photographs
with those of drawings. Writes a run folder as the other stages do. `python -m scripts.dress_training_set`
lets the teacher make the pictures that teach a student.
"""

import sys

from opt.training import train
from utils.errors import exit_cleanly


@exit_cleanly
def main(arguments: list[str] | None = None) -> int:
    """Train; returns the exit status."""
    return train('pb_truth', arguments)


if __name__ == '__main__':
    sys.exit(main())
