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

for stage in pb_warp pb_e2e pf_warp pf_e2e; do
    bash "$here/train_$stage.sh" --resume auto "${@:3}"
done
