"""A page in the browser to try garments on: photographs, or the camera.

    python app.py

Serves http://127.0.0.1:7860 until Ctrl-C, to this machine alone unless --host or --share say otherwise. Reads
a student's weights and, with --garments, a folder of garments; keeps uploads and results in a temporary
folder that goes with it.
"""

import sys

from models.checkpoint.defaults import ABOUT
from opt.app_opt import parse_app_options
from opt.network_opt import load_pipeline, on_backend
from utils.device import describe_device
from utils.errors import UserError, exit_cleanly
from webapp.server import check_free, own_folder, serve

KEPT_READY = 8  # garments that the live tab can put on at once
QUICK_TO_START = {'cpu': ('native', 'fused'), 'cuda': ('fused',), 'mps': ('fused',)}


@exit_cleanly
def main(arguments: list[str] | None = None) -> None:
    """Load, build the page, serve it."""
    options = parse_app_options(arguments)
    check_free(options.host, options.port)
    weights, pipeline = load_pipeline(options)
    size, device = pipeline.size, pipeline.device
    about = f'{pipeline.family}, {size[0]} x {size[1]}, on {describe_device(device)}'
    note = '' if pipeline.is_trained else '**Untrained weights:** the pictures mean nothing yet.'
    if weights.about == ABOUT['viton']:
        note = '**For research, non-commercial:** trained on VITON; `--weights drawn` has seen no photograph.'
    model = on_backend(pipeline, options.backend, candidates=QUICK_TO_START[device.type])
    about += f', {model.mode}' if model is not pipeline else ''
    print(f'weights: {weights.about} ({about})')
    with own_folder() as folder:
        try:
            from webapp.live import LiveRoom, Shared
            from webapp.page import build_page
        except ImportError as error:
            raise UserError(
                f'{error.name} is not installed, which the page needs; pip install -r requirements-app.txt'
            ) from error
        from webapp.studio import Studio
        from webapp.wardrobe import Encoder, fill_wardrobe

        choice = fill_wardrobe(folder / 'files', options.garments)
        shared = Shared(model)
        garments = Encoder(shared, megapixels=options.max_megapixels)
        studio = Studio(shared, folder / 'files', megapixels=options.max_megapixels, garments=garments)
        room = LiveRoom(shared, garments)
        room.prepare(choice.garments[:KEPT_READY])
        page = build_page(studio, room, choice, about=about, note=note)
        studio.keeper.protect()
        settings = {name: getattr(options, name) for name in ('host', 'port', 'share', 'max_upload')}
        serve(page, room, **settings)


if __name__ == '__main__':
    main(sys.argv[1:])
