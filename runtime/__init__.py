"""Fast inference: a pipeline folded, split into parts, and run in the fastest mode of the machine."""

from runtime.backends import MODES, create, find_problem
from runtime.export.runtimes import create_runtime
from runtime.parts import Parts, input_names, output_names, split
from runtime.pipeline import OptimizedPipeline, optimize

__all__ = [
    'MODES', 'OptimizedPipeline', 'Parts', 'create', 'create_runtime', 'find_problem', 'input_names',
    'optimize', 'output_names', 'split',
]  # fmt: skip
