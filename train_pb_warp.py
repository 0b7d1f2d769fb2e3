"""Stage 1 of 4: the teacher learns to warp a garment onto the person who wears it.

    python train_pb_warp.py --dataroot VITON_traindata --align_corners --name Teacher_warp

Reads `train_pairs.txt`, `train_img`, `train_color`, `train_edge`, `train_label`, `train_densepose` and
`train_pose` in the data root. Writes a run folder `runs/train/Teacher_warp`: `weights/` (`pb_warp_last.pt`
and `state_last.pt`, from which `--resume` goes on), `samples/`, `log.txt`, TensorBoard events, `opt.yaml`.
"""

import sys

from opt.training import train
from utils.errors import exit_cleanly


@exit_cleanly
def main(arguments: list[str] | None = None) -> int:
    """Train; returns the exit status."""
    return train('pb_warp', arguments)


if __name__ == '__main__':
    sys.exit(main())
