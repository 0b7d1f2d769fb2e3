"""Stage 3 of 4: the student learns from the teacher to warp, without a parsing of the person.

    python train_pf_warp.py --dataroot VITON_traindata --align_corners \\
        --pb_warp_checkpoint runs/train/Teacher_e2e/weights/pb_warp_last.pt \\
        --pb_gen_checkpoint runs/train/Teacher_e2e/weights/pb_gen_last.pt \\
        --name Student_warp

Reads `train_pairs.txt`, `train_img`, `train_color`, `train_edge`, `train_label`, `train_densepose` and `train_pose`
in the data root, and both networks of stage 2, which stay as they are. Writes a run folder `runs/train/Student_warp`:
`weights/` (`pf_warp_last.pt` and `state_last.pt`, from which `--resume` goes on), `samples/`, `log.txt`, TensorBoard
events, `opt.yaml`.
"""

import sys

from engine.distributed import join_processes, seed_everything
from engine.losses import VGGLoss
from engine.saving import load_weights, network_writer
from engine.stages import create_stage
from engine.trainer import Trainer, create_training_loader
from opt import train_opt
from utils.errors import exit_cleanly


@exit_cleanly
def main(arguments: list[str] | None = None) -> int:
    """Check everything, make the stage, train; returns the exit status."""
    options = train_opt.parse_train_options('pf_warp', arguments)
    with join_processes(options.device) as process:
        seed_everything(options.seed + process.rank)
        perceptual = None if options.vgg_weights == 'none' else VGGLoss(options.vgg_weights)
        stage = create_stage('pf_warp', **train_opt.network_settings(options), niter=options.niter, perceptual=perceptual)
        notes = load_weights(stage, **train_opt.weight_settings(options))
        loader = create_training_loader(**train_opt.loader_settings(options), process=process)
        settings = train_opt.trainer_settings(options, process)

        folder = train_opt.open_run(options, process, notes)
        save = network_writer(stage, **train_opt.network_settings(options), size=options.size)
        return Trainer(stage, loader, folder=folder, save_network=save, **settings).fit()


if __name__ == '__main__':
    sys.exit(main())
