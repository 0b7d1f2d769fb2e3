#!/usr/bin/env bash
# Install what the tests need, check the style, run all tests. Arguments go to pytest:
#   bash scripts/run_tests.sh --samples VITON_test -k pipeline
set -euo pipefail
bash "$(dirname "${BASH_SOURCE[0]}")/install.sh" dev
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
# Requirements have lower bounds alone: a fresh environment has the newest versions that pip resolves. Say which.
python -m pip list --disable-pip-version-check | grep -iE "^(torch|torchvision|numpy|scipy|pytorch-fid|lpips|torchmetrics) " || true
style=0
python -m ruff check . || style=$?
python -m pytest -q "$@"
exit $style  # a matter of style is reported, and fails, after the tests
