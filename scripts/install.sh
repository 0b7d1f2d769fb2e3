#!/usr/bin/env bash
# Install what the project needs into the active virtual environment (or into .venv, made here).
#   bash scripts/install.sh          to run, train and test methods
#   bash scripts/install.sh dev      also what the test suite needs
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
requirements=requirements.txt
if [ "${1:-}" = dev ]; then
    requirements=requirements-dev.txt
elif [ -n "${1:-}" ]; then
    echo "error: unknown argument '$1'; give nothing, or dev" >&2
    exit 2
fi
echo "installing $requirements: with PyTorch's CUDA libraries about 6 GB and several minutes"
python -m pip install --quiet --disable-pip-version-check -r "$requirements"
python - <<'PYTHON'
import torch

device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'MPS' if torch.backends.mps.is_available() else 'CPU'
print(f'torch {torch.__version__} on {device}')
PYTHON
