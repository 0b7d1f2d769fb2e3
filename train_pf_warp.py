"""Stage 3 of 4: the student learns from the teacher to warp, without a parsing of the person.

    python train_pf_warp.py --dataroot VITON_traindata --align_corners \\
        --pb_warp_checkpoint runs/train/Teacher_e2e/weights/pb_warp_last.pt \\
        --pb_gen_checkpoint runs/train/Teacher_e2e/weights/pb_gen_last.pt \\
        --name Student_warp

Reads `train_pairs.txt`, `train_img`, `train_color`, `train_edge`, `train_label`, `train_densepose` and
`train_pose` in the data root, and both networks of stage 2, which stay as they are. Writes a run folder
`runs/train/Student_warp`: `weights/` (`pf_warp_last.pt` and `state_last.pt`, from which `--resume` goes on),
`samples/`, `log.txt`, TensorBoard events, `opt.yaml`.
"""

import sys

from opt.training import train
from utils.errors import exit_cleanly


@exit_cleanly
def main(arguments: list[str] | None = None) -> int:
    """Train; returns the exit status."""
    return train('pf_warp', arguments)


if __name__ == '__main__':
    sys.exit(main())
