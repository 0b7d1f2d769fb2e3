# Sourced by the other scripts: goes to the project's root and makes sure that a virtual environment is active.
# An active one (venv or conda) is used as it is; otherwise .venv is made once and activated.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ -z "${VIRTUAL_ENV:-}" ] && [ -z "${CONDA_PREFIX:-}" ]; then
    if [ ! -e .venv/bin/activate ]; then
        python=${PYTHON:-python3}
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
            echo "error: $python is older than Python 3.10; set PYTHON to a newer one, as in PYTHON=python3.12 bash $0" >&2
            exit 2
        }
        echo "making a virtual environment in .venv"
        "$python" -m venv .venv
    fi
    . .venv/bin/activate
fi
