"""Options of test.py."""

import argparse
from typing import Any

from engine.evaluate import METRICS
from models.baselines import BASELINES
from models.registry import FAMILIES, GENERATORS, WARPS, family_of
from opt.base_opt import Obsolete, add_align_corners, add_base_options, add_size_option
from utils.cli import OptionParser
from utils.errors import UserError


def parse_test_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line of test.py; a wrong option raises `UserError` with one line."""
    parser = OptionParser('Dress a test list with a student or a compared method, and measure the result.')
    add_base_options(parser, project='runs/test')
    parser.add_argument('--dataroot', help='test set in the VITON layout (test_pairs.txt, test_img, ...)')
    parser.add_argument('--valroot', help='the same as --dataroot, which wins where both are given')
    parser.add_argument('--pairs', help='list such as test_pairs_own.txt; None: test_pairs.txt of --dataroot')
    parser.add_argument('--pf_warp_checkpoint', help="the student's warp network, published or own")
    parser.add_argument('--pf_gen_checkpoint', help="the student's generator, published or own")
    files = 'files of a compared method, any order'
    parser.add_argument('--checkpoint', nargs='+', metavar='FILE', help=files)
    wanted = f'refuse weights of another family; None: recognise it; needed for {", ".join(BASELINES)}'
    parser.add_argument('--family', choices=[*FAMILIES, *BASELINES], help=wanted)
    parser.add_argument('--warp', choices=list(WARPS), help='warp network of a pair that is no family')
    parser.add_argument('--gen', choices=list(GENERATORS), help='generator of a pair that is no family')
    samples = 'how the flow samples; None: as the checkpoint says, on where it says nothing (published ones)'
    add_align_corners(parser, default=None, explanation=samples)
    add_size_option(parser)
    _add_measures(parser)
    parser.add_argument('--save_img', action=Obsolete, why='pictures are always saved')
    options = parser.parse_args(arguments)
    _check_files(options)
    options.family = _family_of(options)
    options.dataroot = options.dataroot or options.valroot
    if options.dataroot is None:
        raise UserError('--dataroot is needed: the folder of the test set; see --help')
    return options


def _add_measures(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose what is measured, and with which weights."""
    parser.add_argument(
        '--metrics', nargs='*', choices=METRICS, default=list(METRICS), help='what to measure; empty: nothing'
    )
    either: Any = argparse.BooleanOptionalAction
    truths = 'compare with the true results in test_gt, whatever --metrics says; None: where there are some'
    parser.add_argument('--gt', action=either, help=truths)
    parsing = 'score by parsing and own garments (test_label, test_pairs_own.txt), which dresses each person'
    parser.add_argument(
        '--real', action=either, help=f'{parsing} up to three times; None: where there are some'
    )
    parser.add_argument('--fid_weights', help="pytorch-fid's Inception file; None: downloaded when needed")
    parser.add_argument('--lpips_weights', help="torchvision's VGG16 file; None: downloaded when needed")


def _check_files(options: argparse.Namespace) -> None:
    """Raise `UserError` unless the files given are those that the family takes."""
    students = {f'--{name}': getattr(options, name) for name in ('pf_warp_checkpoint', 'pf_gen_checkpoint')}
    given = [name for name, value in students.items() if value is not None]
    if options.family in BASELINES:
        given += [f'--{name}' for name in ('warp', 'gen', 'real') if getattr(options, name)]
        if given:
            raise UserError(
                f'{", ".join(given)}: for families; {options.family} is none, give --checkpoint alone'
            )
        if not options.checkpoint:
            way = 'bash scripts/download.sh baselines names them'
            raise UserError(f'--family {options.family}: give --checkpoint FILE ...; {way}')
        return
    if options.checkpoint:
        raise UserError(f'--checkpoint is for compared methods; name one by --family: {", ".join(BASELINES)}')
    if missing := [name for name in students if name not in given]:
        raise UserError(f'the following arguments are required: {", ".join(missing)}; see --help')


def _family_of(options: argparse.Namespace) -> str | None:
    """The family asked for; `--warp` and `--gen` replace the parts of `--family`."""
    if not (options.warp or options.gen):
        return options.family
    family = None if options.family is None else FAMILIES[options.family]
    warp, generator = options.warp or (family and family.warp), options.gen or (family and family.generator)
    if warp is None or generator is None:
        raise UserError('--warp and --gen make a pair: give both, or one of them and --family')
    return family_of(warp, generator).name
