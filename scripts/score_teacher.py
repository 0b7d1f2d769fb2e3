"""Score a teacher against the truth, as test.py scores a student: a test set with annotations and truths, as drawn sets are.

    python -m scripts.score_teacher --dataroot dataset/drawn/VITON_test \\
        --pb_warp_checkpoint runs/train/Teacher_e2e/weights/pb_warp_last.pt \\
        --pb_gen_checkpoint runs/train/Teacher_e2e/weights/pb_gen_last.pt

Writes a run folder, `runs/test/teacher`: `results/metrics.json` and the pictures that test.py writes.
"""

import argparse
import sys

from torch import Tensor

from data.batch import derive_masks
from data.viton import VITONDataset, create_loader
from engine.evaluate import Evaluation, dress_all, write_report
from engine.ground_truth import Comparison, find_truths
from engine.stages import Teacher
from models import TryOn
from models.checkpoint import load_network, match_family
from models.pipeline import PUBLISHED_SIZE
from opt.base_opt import add_align_corners, add_base_options, add_size_option
from utils.cli import OptionParser
from utils.device import select_device
from utils.errors import exit_cleanly
from utils.log import create_logger
from utils.paths import increment_path


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, Teacher]:
    """The options and the teacher they name; raises `UserError` with one line."""
    parser = OptionParser(__doc__.splitlines()[0])
    add_base_options(parser, project='runs/test')
    parser.set_defaults(name='teacher')
    parser.add_argument('--dataroot', required=True, help='test set with test_label, test_densepose, test_pose and test_gt')
    parser.add_argument('--pb_warp_checkpoint', required=True, help="the teacher's warp network")
    parser.add_argument('--pb_gen_checkpoint', required=True, help="the teacher's generator")
    add_size_option(parser)
    parser.add_argument('--metrics', nargs='*', choices=['lpips'], default=[], help='what to measure beside SSIM and PSNR')
    parser.add_argument('--lpips_weights', help="torchvision's VGG16 file; None: downloaded when first needed")
    add_align_corners(parser, default=None, explanation='how the flow samples; None: as the checkpoint says')
    options = parser.parse_args(arguments)
    options.device = select_device(options.device)
    place = {'role': 'teacher', 'device': options.device}
    warp, info = load_network(options.pb_warp_checkpoint, part='warp', align_corners=options.align_corners, **place)
    generator, generator_info = load_network(options.pb_gen_checkpoint, part='generator', **place)
    options.family = match_family(info.network, generator_info.network)
    options.size = tuple(options.size or info.size or PUBLISHED_SIZE)
    return options, Teacher(warp, generator)


class DressedByTeacher:
    """The batches of a loader, and a pipeline's call that dresses the persons of the batch that was taken last."""

    def __init__(self, loader, teacher: Teacher, device):
        self.loader, self.teacher, self.device = loader, teacher, device

    def __iter__(self):
        for batch in self.loader:
            self.batch = batch
            yield batch

    def __call__(self, person: Tensor, cloth: Tensor, edge: Tensor) -> TryOn:
        batch = self.batch | {'color_un': cloth, 'edge_un': edge}  # the wanted garment is the other one and the own one
        inputs = derive_masks({name: x.to(self.device) if isinstance(x, Tensor) else x for name, x in batch.items()})
        given = self.teacher(inputs)
        warped = given.warped
        return TryOn(given.fake_person, given.fake_person, warped.edge, warped.cloth, warped.edge, warped.flow)


@exit_cleanly
def main(arguments: list[str] | None = None) -> None:
    """Dress all persons of the set, compare, report."""
    options, teacher = parse(arguments)
    dataset = VITONDataset(options.dataroot, 'test', size=options.size, annotated=True)
    teacher.warp.check_size('--size', dataset[0]['image'])
    truths = find_truths(dataset, wanted=True)
    evaluation = Evaluation(options.metrics, device=options.device, lpips_weights=options.lpips_weights)
    comparison = Comparison(truths, evaluation, align_corners=teacher.warp.aflow_net.align_corners)
    run = increment_path(options.project, options.name)
    logger = create_logger(run)
    loader = create_loader(dataset, batch_size=options.batch_size, workers=min(options.workers, len(dataset)))
    teaching = DressedByTeacher(loader, teacher, options.device)
    note = f'{options.family} teacher, {dataset.list_kind} list'
    dress_all(teaching, teaching, dataset.pairs, run / 'results', note=note, compare=comparison)
    about = {'family': options.family, 'role': 'teacher', 'list': dataset.list_kind}
    options.device = str(options.device)
    logger.info(write_report(run / 'results' / 'metrics.json', comparison.scores(), **about, options=vars(options)))


if __name__ == '__main__':
    main(sys.argv[1:])
