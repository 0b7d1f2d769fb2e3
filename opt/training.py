"""One training run from its command line to its end, for the scripts `train_<stage>.py`."""

from engine.distributed import join_processes
from engine.preparation import create_training_loader, create_validation, prepare_stage
from engine.saving import network_writer
from engine.trainer import Trainer
from engine.truth_data import create_truth_loader
from opt.train_opt import open_run, parse_train_options


def train(stage_name: str, arguments: list[str] | None = None) -> int:
    """Check everything, make the stage, train; returns the exit status.

    `stage_name` is a key of `engine.stages.STAGES`, `arguments` the command line (None: of the process).
    Raises `UserError` for options, files and data that cannot be used.
    """
    settings = parse_train_options(stage_name, arguments)
    with join_processes(settings.device) as process:
        stage, notes = prepare_stage(settings, process)
        create_loader = create_truth_loader if settings.recipe.takes_truths else create_training_loader
        loader = create_loader(settings, process)
        validate, more_notes = create_validation(stage, settings, process)

        folder = open_run(settings, process, [*notes, *more_notes])
        save = network_writer(stage, settings)
        return Trainer(
            stage, loader, settings, folder=folder, save_network=save, process=process, validate=validate
        ).fit()
