#!/usr/bin/env bash
# Download what the authors of DM-VTON published, and check that what arrived is what it should be.
#   bash scripts/download.sh checkpoints     the checkpoint folder -> checkpoints/
#   bash scripts/download.sh data            VITON-Clean           -> dataset/
# Both carry terms of their own (non-commercial); see the README.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
CHECKPOINT_FOLDER=1wfWGsR0vWC5LrA26xhj92ec_GoCKV80A
VITON_CLEAN=1-5FtBJtel-ujgKR_TqJEcN2KrhyjBcyp

by_hand() {
    echo "error: $1" >&2
    echo "Either this machine does not reach drive.google.com, or the daily limit of a popular file is exhausted: the lines above say which." >&2
    echo "By hand: open $2 in a browser where you are" >&2
    echo "signed in (or add it to your own Drive and take it from there), put $3, and run this script again: it checks what is there." >&2
    exit 1
}

fetch_gdown() {
    python -c 'import gdown' 2>/dev/null || python -m pip install --quiet --disable-pip-version-check 'gdown>=5,<7'
}

checkpoints() {
    local url="https://drive.google.com/drive/folders/$CHECKPOINT_FOLDER"
    mkdir -p checkpoints downloads
    if [ ! -e checkpoints/dmvton_pf_warp.pt ] || [ ! -e checkpoints/dmvton_pf_gen.pt ]; then
        rm -rf downloads/checkpoints
        fetch_gdown && python -m gdown "$url" --folder -O downloads/checkpoints/ \
            || by_hand "the checkpoint folder could not be downloaded" "$url" "the files (dmvton_pf_warp.pt, dmvton_pf_gen.pt, ...) into checkpoints/"
        python -m models.checkpoint inspect $(find downloads/checkpoints -name '*.p*t*' -type f) \
            || by_hand "what arrived is not what was published" "$url" "the files into checkpoints/"
        find downloads/checkpoints -name '*.p*t*' -type f -exec mv {} checkpoints/ \;
    fi
    find checkpoints -maxdepth 1 -name '*.p*t*' -type f -print0 | xargs -0 python -m models.checkpoint inspect \
        || by_hand "a file in checkpoints/ cannot be loaded; delete it" "$url" "the files into checkpoints/"
}

data() {
    local url="https://drive.google.com/file/d/$VITON_CLEAN" archive=downloads/VITON-Clean.zip
    mkdir -p dataset downloads
    if [ ! -e "$archive" ] && ! find dataset -name test_pairs.txt | grep -q .; then
        fetch_gdown && python -m gdown "$VITON_CLEAN" -O "$archive.part" && python -m zipfile -t "$archive.part" \
            && mv "$archive.part" "$archive" \
            || by_hand "VITON-Clean could not be downloaded whole" "$url" "the archive at $archive"
    fi
    if [ -e "$archive" ] && ! find dataset -name test_pairs.txt | grep -q .; then
        rm -rf dataset/.unpacking && python -m zipfile -e "$archive" dataset/.unpacking \
            || by_hand "$archive cannot be unpacked; delete it" "$url" "the archive at $archive"
        mv dataset/.unpacking/* dataset/ && rmdir dataset/.unpacking
    fi
    find dataset -name '*_pairs.txt' | while read -r pairs; do
        python -m data.check "$(dirname "$pairs")"
    done
}

case "${1:-}" in
    checkpoints | data) "$1" ;;
    *)
        echo "error: say what to download: checkpoints or data" >&2
        exit 2
        ;;
esac
