"""Mode `native`: C++ kernels for float32 on a CPU, built on first use, and the modules that call them."""

from runtime.native.binding import find_problem, load_kernels
from runtime.native.layers import accelerate

__all__ = ['accelerate', 'find_problem', 'load_kernels']
