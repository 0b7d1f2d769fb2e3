# Sourced by the training scripts: finds the data set where `scripts/download.sh data` and `python -m data.convert` leave it.

find_set() { # train or test: prints the folder with that list, here or in the project's root; the usual name if there is none
    local root name=VITON_test list="$1_pairs.txt" found
    [ "$1" = train ] && name=VITON_traindata
    for root in . "$(dirname "${BASH_SOURCE[0]}")/.."; do
        for folder in "$root/$name" "$root/dataset/$name" "$root/dataset/VITON-Clean/$name"; do
            if [ -e "$folder/$list" ]; then
                echo "${folder#./}"
                return
            fi
        done
        found=$(find "$root/dataset" -name "$list" -print -quit 2>/dev/null || true)
        if [ -n "$found" ]; then
            found=$(dirname "$found")
            echo "${found#./}"
            return
        fi
    done
    echo "$name"
}
