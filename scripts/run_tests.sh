#!/usr/bin/env bash
# Install what the tests need, check the style, run all tests. Arguments go to pytest:
#   bash scripts/run_tests.sh --samples VITON_test -k pipeline
set -euo pipefail
bash "$(dirname "${BASH_SOURCE[0]}")/install.sh" dev
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
python -m ruff check .
python -m pytest -q "$@"
