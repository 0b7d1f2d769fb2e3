"""Write a try-on as files that run without Python: ONNX, OpenVINO's format, or a page for browsers.

    python export.py --format onnx --out exported/
    python export.py --format web --out site/

Reads a student's weights, published or own. Writes for each precision a folder with one graph (person, cloth,
edge -> tryon, warped_cloth) and the split ones (the garment's code; person and code -> tryon), compares all
of them with the pipeline on pictures, and moves them to their place only if they agree.
`runtime.create_runtime` reads them back. The page is a folder for any static web server (docs/web.md);
writing it needs Node.js.
"""

import contextlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from models import TryOnPipeline
from models.checkpoint.defaults import choose_weights, size_note
from opt.export_opt import WEB, parse_export_options
from runtime.export.graphs import MANIFEST, NEEDED, write_graphs, write_manifest
from runtime.export.onnx_file import require
from runtime.export.parity import check, compare, load_pictures, parity_table
from runtime.export.runtimes import read_manifest
from runtime.export.web_graphs import NEEDED as NEEDED_BY_PAGE
from utils.errors import exit_cleanly
from utils.paths import check_folder, expand
from webapp.static_page import check_node, write_site


@contextlib.contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Yield a new folder in `out`; what is made in it moves to `out` when the block ends well."""
    check_folder(out, '--out')
    is_new = not out.exists()
    stage = out / f'.{secrets.token_hex(8)}.tmp'
    stage.mkdir(parents=True)
    try:
        yield stage
        for folder in sorted(stage.iterdir()):
            (out / folder.name).mkdir(exist_ok=True)
            # The manifest last: until it is there, the sums in the old one tell that the files are not its
            # own.
            for file in sorted(folder.iterdir(), key=lambda file: file.name == MANIFEST):
                os.replace(file, out / folder.name / file.name)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if is_new and not any(out.iterdir()):
            out.rmdir()


@exit_cleanly
def main(arguments: list[str] | None = None) -> None:
    """Write, compare, report."""
    options = parse_export_options(arguments)
    require(*(NEEDED_BY_PAGE if options.format == WEB else NEEDED[options.format]))
    if options.format == WEB:
        check_node()
    weights = choose_weights(options.checkpoint, weights=options.weights)
    pipeline = TryOnPipeline.from_checkpoints(warp=weights.warp, gen=weights.gen)
    size, out = options.size or pipeline.size, expand(options.out)
    print(f'weights: {weights.about} ({pipeline.family}, {size[0]} x {size[1]})')
    if note := size_note(pipeline, size):
        print(f'note: {note}')
    if options.format == WEB:
        print('writing the page, which takes minutes', flush=True)
        site = write_site(pipeline, out, size=size, about=f'Weights: {weights.about}.')
        print(f'networks: {site.network_megabytes:.1f} MB, {site.psnr_db:.1f} dB beside the pipeline')
        print(
            f'results: {out}, {site.files} files; a first visit loads {site.visit_megabytes:.1f} MB; see it:'
        )
        print(f'    python -m http.server --directory {out}')
        return
    pictures = load_pictures(options.dataroot, size)
    rows = {}
    with staged(out) as stage:
        for precision in options.precision:
            folder = stage / precision
            folder.mkdir()
            print(f'{precision}: writing three graphs and comparing them, which takes minutes', flush=True)
            write_graphs(pipeline, folder, format=options.format, precision=precision, size=size)
            rows[precision] = compare(pipeline, folder, pictures, format=options.format)
            parity = [row._asdict() for row in rows[precision]]
            write_manifest(folder, read_manifest(folder) | {'parity': parity})
        about = 'drawn pictures' if options.dataroot is None else f'pictures of {options.dataroot}'
        print(f'{options.format} beside the pipeline on {len(pictures[0])} {about}, garment encoded first')
        print(parity_table(rows))
        check(rows)
    print(f'results: {", ".join(str(out / precision) for precision in rows)}')


if __name__ == '__main__':
    main(sys.argv[1:])
