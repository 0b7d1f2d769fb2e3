#!/usr/bin/env bash
# All four stages, each from the one before, with the published settings (one GPU). Run it again after an interruption:
# a stage that has been begun is continued, one that is done is left as it is.
#   bash scripts/train_all.sh [DATAROOT [PROJECT [further options for every stage]]]
# Defaults: the data that is found where download.sh and data.convert leave it, runs/train. Variable: VALROOT, a test set for
# the last stage (the one that is found).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/data_folders.sh"

export DATAROOT=${1:-${DATAROOT:-$(find_set train)}}
export PROJECT=${2:-${PROJECT:-runs/train}}
here=$(dirname "$0")

train() { # stage, name of its run, further options
    local run="$PROJECT/$2"
    if [ -e "$run/weights/state_last.pt" ]; then
        python "$here/../train_$1.py" --resume "$run" "${@:3}"
    elif [ -e "$run" ]; then
        echo "error: $run ended before it saved anything; delete it and start again" >&2
        return 2
    else
        bash "$here/train_$1.sh" "${@:3}"
    fi
}

train pb_warp Teacher_warp "${@:3}"
train pb_e2e Teacher_e2e "${@:3}"
train pf_warp Student_warp "${@:3}"
train pf_e2e Student_e2e "${@:3}"
