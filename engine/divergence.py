"""A loss that is not finite: the error that ends a training run, with all that helps to find out why."""

import math
from collections.abc import Mapping
from typing import Any

from engine.base_stage import StepResult
from utils.errors import UserError


class DivergedError(UserError):
    """A loss that is no finite number."""

    exit_status = 1


def diverged_error(where: str, loss: float, result: StepResult, batch: Mapping[str, Any]) -> DivergedError:
    """The error of a `loss` that is not finite in some process: its terms, and the files of the batch."""
    if math.isfinite(loss):
        return DivergedError(f"{where}: another process's loss is not finite")
    terms = ', '.join(f'{name} {value.item():.6g}' for name, value in result.terms.items())
    names = [f'{name} {" ".join(value)}' for name, value in batch.items() if _is_words(value)]
    return DivergedError(
        f'{where}: the loss is {loss} ({terms}) for {"; ".join(names) or "this batch"}; '
        'the checkpoint before is untouched; '
        'look at these records, try a lower --lr, --grad_clip 1 or --amp off'
    )


def _is_words(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(word, str) for word in value)
