"""Stage 1 of 4: the teacher learns to warp a garment onto the person who wears it.

    python train_pb_warp.py --dataroot VITON_traindata --align_corners --name Teacher_warp

Reads `train_pairs.txt`, `train_img`, `train_color`, `train_edge`, `train_label`, `train_densepose` and
`train_pose` in the data root. Writes a run folder `runs/train/Teacher_warp`: `weights/` (`pb_warp_last.pt`
and `state_last.pt`, from which `--resume` goes on), `samples/`, `log.txt`, TensorBoard events, `opt.yaml`.
"""

import sys

from engine.distributed import join_processes
from engine.preparation import create_training_loader, prepare_stage
from engine.saving import network_writer
from engine.trainer import Trainer
from opt.train_opt import open_run, parse_train_options
from utils.errors import exit_cleanly


@exit_cleanly
def main(arguments: list[str] | None = None) -> int:
    """Check everything, make the stage, train; returns the exit status."""
    settings = parse_train_options('pb_warp', arguments)
    with join_processes(settings.device) as process:
        stage, notes = prepare_stage(settings, process)
        loader = create_training_loader(settings, process)

        folder = open_run(settings, process, notes)
        save = network_writer(stage, settings)
        return Trainer(stage, loader, settings, folder=folder, save_network=save, process=process).fit()


if __name__ == '__main__':
    sys.exit(main())
