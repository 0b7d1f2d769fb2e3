"""Stage 2 of 4: the teacher learns to render the person in the garment, and fine-tunes its warp.

    python train_pb_e2e.py --dataroot VITON_traindata --align_corners \\
        --pb_warp_checkpoint runs/train/Teacher_warp/weights/pb_warp_last.pt \\
        --name Teacher_e2e

Reads `train_pairs.txt`, `train_img`, `train_color`, `train_edge`, `train_label`, `train_densepose` and
`train_pose` in the data root, and the warp network of stage 1. Writes a run folder `runs/train/Teacher_e2e`:
`weights/` (`pb_warp_last.pt`, `pb_gen_last.pt` and `state_last.pt`, from which `--resume` goes on),
`samples/`, `log.txt`, TensorBoard events, `opt.yaml`.
"""

import sys

from opt.training import train
from utils.errors import exit_cleanly


@exit_cleanly
def main(arguments: list[str] | None = None) -> int:
    """Train; returns the exit status."""
    return train('pb_e2e', arguments)


if __name__ == '__main__':
    sys.exit(main())
