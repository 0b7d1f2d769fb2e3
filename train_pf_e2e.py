"""Stage 4 of 4: the student learns to restore the real picture from a fake one, and fine-tunes its warp.

    python train_pf_e2e.py --dataroot VITON_traindata --align_corners \\
        --pb_warp_checkpoint runs/train/Teacher_e2e/weights/pb_warp_last.pt \\
        --pb_gen_checkpoint runs/train/Teacher_e2e/weights/pb_gen_last.pt \\
        --pf_warp_checkpoint runs/train/Student_warp/weights/pf_warp_last.pt --valroot VITON_test \\
        --name Student_e2e

Reads `train_pairs.txt`, `train_img`, `train_color`, `train_edge`, `train_label`, `train_densepose` and
`train_pose` in the data root, both networks of stage 2, which stay as they are, the warp network of stage 3,
and with `--valroot` a test set. Writes a run folder `runs/train/Student_e2e`: `weights/` (`pf_warp_last.pt`,
`pf_gen_last.pt`, with `--valroot` those of the lowest FID as `..._best.pt`, and `state_last.pt`, from which
`--resume` goes on), `samples/`, `validation/`, `log.txt`, TensorBoard events, `opt.yaml`.
"""

import sys

from opt.training import train
from utils.errors import exit_cleanly


@exit_cleanly
def main(arguments: list[str] | None = None) -> int:
    """Train; returns the exit status."""
    return train('pf_e2e', arguments)


if __name__ == '__main__':
    sys.exit(main())
