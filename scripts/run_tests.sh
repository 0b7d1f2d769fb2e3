#!/usr/bin/env bash
# Install what the tests need, check style and types, run all tests. Arguments go to pytest:
#   bash scripts/run_tests.sh --samples VITON_test -k pipeline
#
# The tests of pages in a browser (tests/web, tests/webapp) need Chromium and playwright, those of the exported page Node.js 20
# as well; they are skipped elsewhere, with the reason. On Debian or Ubuntu:
#   apt-get install chromium nodejs npm && pip install playwright -r requirements-export.txt
set -euo pipefail
bash "$(dirname "${BASH_SOURCE[0]}")/install.sh" dev
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
# Requirements have lower bounds alone: a fresh environment has the newest versions that pip resolves. Say which.
python -m pip list --disable-pip-version-check | grep -iE "^(torch|torchvision|numpy|scipy|pytorch-fid|lpips|torchmetrics) " || true
failed=0
python -m ruff check . || failed=$?
python -m ruff format --check . || failed=$?
python -m mypy || failed=$?
# TEST_PROCESSES=2 runs the files of tests in two processes, each with its share of the cores; 0 in this one.
processes=${TEST_PROCESSES:-0}
if [ "$processes" -gt 1 ]; then
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(($(nproc) / processes > 0 ? $(nproc) / processes : 1))}
fi
python -m pytest -q -n "$processes" --dist loadfile "$@"
exit $failed  # style and types are reported, and fail, after the tests
