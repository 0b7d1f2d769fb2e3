"""Fast inference: the pipeline of `models` folded, split into parts, and run in the fastest mode of the machine."""

from runtime.backends import MODES, create, find_problem
from runtime.export.runtimes import create_runtime
from runtime.parts import INPUTS, OUTPUTS, Parts, split
from runtime.pipeline import OptimizedPipeline, optimize

__all__ = [
    'INPUTS',
    'MODES',
    'OUTPUTS',
    'OptimizedPipeline',
    'Parts',
    'create',
    'create_runtime',
    'find_problem',
    'optimize',
    'split',
]
