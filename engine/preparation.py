"""From settings to what a trainer needs: the stage with its weights, the loader, the validation."""

from typing import Any

from torch.utils.data import DataLoader

from data.viton import EpochDataset, EpochShuffle, VITONDataset, create_loader
from engine.base_stage import NETWORKS, Stage
from engine.distributed import Process, Share, seed_everything
from engine.evaluate import Validation
from engine.losses import VGGLoss
from engine.saving import load_weights
from engine.settings import TrainSettings
from engine.stages import create_stage
from engine.truth_stages import PBTruth, PFTruth
from models import TryOnPipeline


def prepare_stage(settings: TrainSettings, process: Process) -> tuple[Stage, list[str]]:
    """Return the stage on the CPU with all weights that the settings give it, and remarks to be shown.

    Seeds the random numbers, from which new weights are drawn. Raises `UserError` for what does not fit.
    """
    settings.check_device(process)
    seed_everything(settings.seed + process.rank)
    perceptual = None
    if settings.recipe.has_perceptual_terms and settings.vgg_weights != 'none':
        perceptual = VGGLoss(settings.vgg_weights)
    stage = create_stage(
        settings.stage,
        **settings.families,
        align_corners=settings.align_corners,
        niter=settings.niter,
        perceptual=perceptual,
    )
    notes = load_weights(stage, settings)
    stage.freeze_bn = settings.freeze_bn
    stage.train()
    if isinstance(stage, PFTruth | PBTruth):
        stage.warped_structure = settings.warped_structure
    if isinstance(stage, PFTruth) and settings.part != 'both':
        stage.learn_alone(settings.part)
    return stage, notes


def create_training_loader(settings: TrainSettings, process: Process) -> DataLoader:
    """Return the loader of this process's share of the training set, ordered by seed and epoch alone.

    Raises `UserError` for a data set that cannot be used; the first process looks at all of its files.
    """
    root, check = settings.dataroot or '', process.is_first
    return loader_of(
        VITONDataset(root, 'train', size=settings.size, seed=settings.seed, check=check), settings, process
    )


def loader_of(dataset: EpochDataset, settings: TrainSettings, process: Process) -> DataLoader:
    """Return the loader of this process's share of `dataset`, ordered by seed and epoch alone."""
    return create_loader(
        dataset,
        batch_size=settings.batch_size,
        workers=min(settings.workers, len(dataset)),
        sampler=Share(EpochShuffle(dataset, seed=settings.seed), process=process),
        seed=settings.seed,
        pin_memory=process.device.type == 'cuda',
    )


def create_validation(
    stage: Stage, settings: TrainSettings, process: Process
) -> tuple[Validation | None, list[str]]:
    """Return what scores the student after each epoch, None where nothing can, and remarks to be shown."""
    if not settings.valroot or not stage.validated:
        return None, []
    testset = VITONDataset(settings.valroot, 'test', size=settings.size, check=process.is_first)
    parts: dict[str, Any] = {NETWORKS[name].part: stage.networks[name] for name in stage.lr_scale}
    validate = Validation(
        TryOnPipeline(parts['warp'], parts['generator']),
        testset,
        process=process,
        batch_size=settings.batch_size,
        workers=settings.workers,
        fid_weights=settings.fid_weights,
    )
    if validate.reason:
        return None, [f'--valroot: no FID, so no best networks are kept ({validate.reason})']
    return validate, []
