#!/usr/bin/env bash
# Download what the authors of DM-VTON published, and check that what arrived is what it should be.
#   bash scripts/download.sh checkpoints     the checkpoint folder -> checkpoints/
#   bash scripts/download.sh data            VITON-Clean           -> dataset/
#   bash scripts/download.sh baselines       ACGPN, C-VTON, SDAFN: what to fetch by hand, and a check of what is there
# All carry terms of their own (non-commercial); see the README.
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

# One compared method: its name, where its authors keep the files, the files. Fails where one is missing or not what it should be.
baseline() {
    local name=$1 where=$2 folder=checkpoints/$1 file missing=()
    shift 2
    mkdir -p "$folder"
    for file in "$@"; do
        [ -e "$folder/$file" ] || missing+=("$file")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        echo "$name: put ${missing[*]} into $folder/. $where" >&2
        return 1
    fi
    python -m models.checkpoint inspect --family "$name" "${@/#/$folder/}"
}

baselines() {
    local failed=0
    baseline acgpn "They lie in label2city/ of ACGPN_checkpoints.zip, on Google Drive: the link is in the README of
    https://github.com/switchablenorms/DeepFashion_Try_On (non-commercial research and education only)." \
        latest_net_G1.pth latest_net_G2.pth latest_net_U.pth latest_net_G.pth || failed=1
    baseline cvton "It lies in checkpoints/C-VTON-VITON/models/ of what the README of https://github.com/benquick123/C-VTON
    links to. Take best_EMA.pth, which holds both networks; the others in that folder are of the training." \
        best_EMA.pth || failed=1
    baseline sdafn "It is one file, 151 MB, of https://github.com/OFA-Sys/DAFlow:
    curl -fLo checkpoints/sdafn/ckpt_viton.pt https://ofa-beijing.oss-cn-beijing.aliyuncs.com/checkpoints/ckpt_viton.pt" \
        ckpt_viton.pt || failed=1
    [ $failed = 0 ] || {
        echo "error: not all of the compared methods are there; fetch what the lines above name, and run this script again" >&2
        exit 1
    }
}

case "${1:-}" in
    checkpoints | data | baselines) "$1" ;;
    *)
        echo "error: say what to download: checkpoints, data or baselines" >&2
        exit 2
        ;;
esac
