"""Options of the training scripts: names and defaults that users rely on, refusals in one line, resuming, the
shell scripts.
"""

import dataclasses
import os
import shlex
import subprocess
from pathlib import Path

import pytest
import torch
import yaml

from engine.distributed import Process
from opt.resuming import newest_run
from opt.train_opt import create_parser, open_run, parse_train_options, remarks
from utils.errors import MissingFileError, UserError

ROOT = Path(__file__).parents[2]
DATA = ['--dataroot', 'data']
TEACHER = ['--pb_warp_checkpoint', 'w.pt', '--pb_gen_checkpoint', 'g.pt']
STAGES = {'pb_warp': [], 'pb_e2e': [], 'pf_warp': TEACHER, 'pf_e2e': TEACHER}


def make_run(folder: Path, stage: str = 'pb_warp', *, state: bool = True, **settings) -> Path:
    """A run folder as training leaves it."""
    (folder / 'weights').mkdir(parents=True)
    if state:
        (folder / 'weights' / 'state_last.pt').touch()
    (folder / 'opt.yaml').write_text(yaml.safe_dump({'stage': stage, 'dataroot': 'data', **settings}))
    return folder


@pytest.mark.parametrize('stage', STAGES)
def test_published_names_have_their_published_defaults(stage):
    options = dataclasses.asdict(parse_train_options(stage, [*DATA, *STAGES[stage]]))
    defaults = {
        'project': 'runs/train',
        'name': 'exp',
        'device': '',
        'batch_size': 32,
        'workers': 8,
        'valroot': None,
        'align_corners': False,
        'print_step': 100,
        'sample_step': 100,
        'save_period': 20,
        'verbose': False,
        'optimizer': 'Adam',
        'niter': 50,
        'niter_decay': 50,
        'momentum': 0.5,
        'lr': 5e-5,
        'pf_warp_checkpoint': None,
        'pf_gen_checkpoint': None,
        'teacher': 'fs_vton',
        'student': 'dm_vton',
        'vgg_weights': 'imagenet',
        'size': (256, 192),
    }
    assert {name: options[name] for name in defaults} == defaults
    assert options['dataroot'] == 'data' and options['stage'] == stage and options['run'] is None


def test_options_that_make_no_sense_any_more_are_accepted_and_say_so(capsys):
    parse_train_options(
        'pb_warp', [*DATA, '--use_dropout', '--local_rank', '1', '--local-rank=2', '--no_flip']
    )
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4
    assert all('changes nothing' in line for line in said)


@pytest.mark.parametrize(
    ('stage', 'options', 'words'),
    [
        ('pb_warp', [], '--dataroot is needed'),
        ('pf_warp', DATA, '--pb_warp_checkpoint and --pb_gen_checkpoint needed'),
        ('pf_e2e', [*DATA, *TEACHER[:2]], '--pb_gen_checkpoint needed'),
        ('pb_warp', [*DATA, '--teacher', 'rmgn'], 'invalid choice'),
        ('pb_warp', [*DATA, '--student', 'vton'], 'invalid choice'),
        ('pb_warp', [*DATA, '--optimizer', 'Lion'], 'invalid choice'),
        ('pb_warp', [*DATA, '--amp', 'fp8'], 'invalid choice'),
        ('pb_warp', [*DATA, '--lr', '0'], "'0' is not a number above 0"),
        ('pb_warp', [*DATA, '--lr', 'nan'], 'is not a number above 0'),
        ('pb_warp', [*DATA, '--grad_clip', '-1'], 'is not a number above 0'),
        ('pb_warp', [*DATA, '--momentum', '1'], 'from 0 to below 1'),
        ('pb_warp', [*DATA, '--batch_size', '0'], 'at least 1'),
        ('pb_warp', [*DATA, '--accumulate', '0'], 'at least 1'),
        ('pb_warp', [*DATA, '--max_steps', '0'], 'at least 1'),
        ('pb_warp', [*DATA, '--niter', '-1'], 'at least 0'),
        ('pb_warp', [*DATA, '--niter', '0', '--niter_decay', '0'], 'no epoch to train'),
        ('pb_warp', [*DATA, '--optimizer', 'SGD', '--momentum', '0'], 'needs a momentum above 0'),
        ('pb_warp', [*DATA, '--size', '256'], 'expected 2 arguments'),
        ('pb_warp', [*DATA, '--name', 'a/b'], 'not a plain folder name'),
        ('pb_warp', [*DATA, '--batch', '8'], 'unrecognized arguments'),
    ],
)
def test_options_that_do_not_fit_are_refused_in_one_line(stage, options, words):
    with pytest.raises(UserError) as caught:
        parse_train_options(stage, options)
    assert words in str(caught.value) and '\n' not in str(caught.value)


def test_options_that_change_nothing_in_a_stage_are_remarked_upon():
    options = parse_train_options(
        'pb_warp',
        [*DATA, '--pf_gen_checkpoint', 'g.pt', '--valroot', 'v', '--vgg_weights', 'none']
        + ['--warped_structure', '1'],
    )
    said = remarks(dataclasses.replace(options, sync_bn=True, device='0,1'), Process())
    assert [text.split(':')[0] for text in said] == [
        '--pf_gen_checkpoint changes nothing',
        '--valroot changes nothing',
        '--warped_structure changes nothing',
        '--vgg_weights none',
        '--sync_bn changes nothing',
        '--device 0,1',
    ]
    assert remarks(parse_train_options('pb_warp', DATA), Process()) == []


def test_frozen_statistics_of_new_networks_are_remarked_upon():
    start = ['--pb_warp_checkpoint', 'w.pt', '--freeze_bn']
    assert not remarks(parse_train_options('pb_warp', [*DATA, *start]), Process())
    (said,) = remarks(parse_train_options('pb_warp', [*DATA, '--freeze_bn']), Process())
    assert said.startswith('--freeze_bn: new') and said.endswith('give --pb_warp_checkpoint')


def test_synchronised_batch_norm_is_refused_where_there_is_no_cuda():
    options = parse_train_options('pb_warp', [*DATA, '--sync_bn'])
    options.check_device(Process())
    with pytest.raises(UserError, match='CUDA devices only'):
        options.check_device(Process(torch.device('cpu'), rank=0, world=2))


def test_every_setting_is_an_option_with_its_effect_and_the_settings_say_what_was_given():
    arguments = (
        '--compile --amp bf16 --accumulate 3 --grad_clip 2 --max_steps 9 --channels_last --niter '
        '4 --lr 1e-3 --verbose'
    )
    options = parse_train_options('pf_e2e', [*DATA, *TEACHER, *arguments.split()])
    wanted = {
        'compile': True,
        'amp': 'bf16',
        'accumulate': 3,
        'grad_clip': 2.0,
        'max_steps': 9,
        'channels_last': True,
    }
    wanted |= {'niter': 4, 'lr': 1e-3, 'verbose': True, 'run': None}
    assert {name: getattr(options, name) for name in wanted} == wanted
    assert (
        options.command(Path('my run'), Process(world=4))
        == "torchrun --nproc_per_node=4 train_pf_e2e.py --resume 'my run'"
    )
    assert [options.checkpoint(name) for name in ('pb_warp', 'pb_gen', 'pf_warp')] == ['w.pt', 'g.pt', None]
    text = create_parser('pf_e2e').format_help()
    for field in dataclasses.fields(options):
        is_option = f'--{field.name} ' in text and len(field.metadata['help']) > 10
        assert is_option or field.name in ('stage', 'run', 'place', 'begun'), field.name


def test_half_precision_on_a_cpu_is_remarked_upon():
    options = parse_train_options('pb_warp', [*DATA, '--amp', 'fp16'])
    assert ['--amp fp16' in text for text in remarks(options, Process())] == [True]
    assert remarks(options, Process(torch.device('cuda'))) == []


@pytest.mark.parametrize(
    ('stage', 'options', 'families', 'noted'),
    [
        ('pf_e2e', ['--warp', 'mobile_afwm', '--gen', 'res_unet'], ('fs_vton', 'mobile_afwm+res_unet'), True),
        ('pf_e2e', ['--gen', 'rmgn'], ('fs_vton', 'mobile_afwm+rmgn'), True),
        ('pf_e2e', ['--warp', 'afwm', '--gen', 'rmgn'], ('fs_vton', 'rmgn'), False),
        ('pf_e2e', ['--teacher', 'afwm+mobile_unet'], ('afwm+mobile_unet', 'dm_vton'), True),
        ('pb_e2e', ['--warp', 'mobile_afwm'], ('mobile_afwm+res_unet', 'dm_vton'), True),
    ],
)
def test_any_warp_network_goes_with_any_generator_and_what_was_never_published_is_said(
    stage, options, families, noted
):
    settings = parse_train_options(stage, [*DATA, *STAGES[stage], *options])
    assert tuple(settings.families.values()) == families
    assert any('no published method' in text for text in remarks(settings, Process())) is noted
    if stage == 'pb_e2e':
        with pytest.raises(UserError, match='--teacher: invalid choice'):
            parse_train_options(stage, [*DATA, '--gen', 'rmgn'])


# ---- Run folders


def test_the_newest_run_is_that_of_the_highest_number(tmp_path):
    for name in ('exp', 'exp-2', 'exp-10', 'exp-x', 'exp-01', 'expo-20', 'other-30'):
        (tmp_path / name).mkdir()
    (tmp_path / 'exp-11').touch()
    assert newest_run(tmp_path, 'exp').name == 'exp-10'
    with pytest.raises(MissingFileError, match='no run nothing'):
        newest_run(tmp_path, 'nothing')


def test_resuming_takes_the_newest_run_and_the_options_it_was_begun_with(tmp_path):
    make_run(tmp_path / 'exp', lr=1.0)
    run = make_run(
        tmp_path / 'exp-1', lr=0.25, amp='bf16', size=[64, 32], niter=7, max_steps=5, verbose=True, unknown=1
    )
    options = parse_train_options('pb_warp', ['--project', str(tmp_path), '--resume', '--niter', '9'])
    assert options.run == str(run)
    assert (options.lr, options.amp, options.size, options.dataroot) == (0.25, 'bf16', (64, 32), 'data')
    assert options.niter == 9, 'an option that is given wins'
    assert options.max_steps is None and options.verbose is False, 'these are of one start only'
    assert not hasattr(options, 'unknown')


@pytest.mark.parametrize('what', ['', 'weights', 'weights/state_last.pt', 'weights/pb_warp_last.pt'])
def test_a_run_may_be_named_by_its_folder_or_what_it_saved_last(tmp_path, what):
    run = make_run(tmp_path / 'run')
    (run / 'weights' / 'pb_warp_last.pt').touch()
    assert parse_train_options('pb_warp', ['--resume', str(run / what)]).run == str(run)


def test_a_path_that_is_no_run_is_refused_with_the_way_out(tmp_path):
    run = make_run(tmp_path / 'run')
    (run / 'weights' / 'pb_gen_epoch_20.pt').touch()
    (tmp_path / 'file.pt').touch()
    cases = {
        run / 'weights' / 'pb_gen_epoch_20.pt': 'start from it by --pb_gen_checkpoint, or resume',
        tmp_path / 'file.pt': 'expected a run folder',
        tmp_path / 'nothing': 'no such run folder',
        make_run(tmp_path / 'young', state=False): 'ended before it saved anything',
        make_run(tmp_path / 'other', 'pf_warp'): 'a run of train_pf_warp.py',
    }
    for path, words in cases.items():
        with pytest.raises(UserError, match=words):
            parse_train_options('pb_warp', ['--resume', str(path)])


def test_auto_starts_anew_where_there_is_nothing_and_continues_where_there_is_something(tmp_path):
    arguments = [*DATA, '--project', str(tmp_path), '--resume', 'auto']
    assert parse_train_options('pb_warp', arguments).run is None
    run = make_run(tmp_path / 'exp', lr=0.25)
    make_run(tmp_path / 'exp-1', state=False)
    make_run(tmp_path / 'exp-2', 'pb_e2e')
    options = parse_train_options('pb_warp', arguments)
    assert options.run == str(run) and options.lr == 0.25
    assert parse_train_options('pb_warp', [*arguments, '--name', 'other']).run is None


def test_auto_starts_anew_in_the_folder_of_a_run_that_has_saved_nothing(tmp_path):
    """Requeued jobs and later stages find one run by its name, however often it was killed early."""
    arguments = [*DATA, '--project', str(tmp_path), '--resume', 'auto']
    for _ in range(3):
        options = parse_train_options('pb_warp', arguments)
        assert not options.continues and open_run(options, Process()) == tmp_path / 'exp'
    assert [folder.name for folder in tmp_path.iterdir()] == ['exp']
    (tmp_path / 'exp' / 'weights').mkdir()
    (tmp_path / 'exp' / 'weights' / 'state_last.pt').touch()
    assert parse_train_options('pb_warp', arguments).run == str(tmp_path / 'exp')
    other = parse_train_options('pb_e2e', arguments)
    assert other.run is None and other.place is None, 'the folder is of another stage'


def test_a_run_that_has_lost_its_state_says_how_to_go_on_from_its_weights(tmp_path):
    run = make_run(tmp_path / 'run', 'pb_e2e', state=False)
    files = [run / 'weights' / f'{name}_last.pt' for name in ('pb_warp', 'pb_gen')]
    for file in files:
        torch.save({'model': {}, 'epoch': 3}, file)
    with pytest.raises(MissingFileError, match='has lost weights/state_last.pt') as caught:
        parse_train_options('pb_e2e', ['--resume', str(run)])
    assert f'--pb_warp_checkpoint {files[0]} --pb_gen_checkpoint {files[1]}' in str(caught.value)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(('text', 'words'), [('a: [', 'cannot be read'), ('- a', 'holds no options')])
def test_a_broken_settings_file_is_refused_by_name(tmp_path, text, words):
    run = make_run(tmp_path / 'run')
    (run / 'opt.yaml').write_text(text)
    with pytest.raises(UserError, match=f'opt.yaml {words}'):
        parse_train_options('pb_warp', ['--resume', str(run)])


def test_a_lost_settings_file_asks_for_the_options_again(tmp_path):
    run = make_run(tmp_path / 'run')
    (run / 'opt.yaml').unlink()
    assert parse_train_options('pb_warp', ['--resume', str(run), *DATA, '--lr', '0.5']).lr == 0.5
    with pytest.raises(UserError, match='--dataroot is needed'):
        parse_train_options('pb_warp', ['--resume', str(run)])


def test_an_opened_run_has_the_options_the_notes_and_a_number_of_its_own(tmp_path):
    arguments = [*DATA, '--project', str(tmp_path), '--vgg_weights', 'none', '--lr', '0.25', '--verbose']
    for folder in (tmp_path / 'exp', tmp_path / 'exp-1'):
        assert open_run(parse_train_options('pb_warp', arguments), Process(), ['something else']) == folder
        text = (folder / 'log.txt').read_text()
        assert 'note: --vgg_weights none' in text and 'note: something else' in text and '--lr 0.25' in text
    (tmp_path / 'exp-1' / 'weights').mkdir()
    (tmp_path / 'exp-1' / 'weights' / 'state_last.pt').touch()
    resumed = parse_train_options('pb_warp', ['--resume', str(tmp_path / 'exp-1'), '--lr', '0.5'])
    assert open_run(resumed, Process()) == tmp_path / 'exp-1'
    assert (resumed.lr, resumed.vgg_weights) == (0.5, 'none')
    assert yaml.safe_load((tmp_path / 'exp-1' / 'opt.yaml').read_text())['lr'] == 0.5
    assert not (tmp_path / 'exp-2').exists()


# ---- Shell scripts


def run_script(
    tmp_path: Path, *words: str, **variables: str
) -> tuple[subprocess.CompletedProcess, list[list[str]]]:
    """Run a shell script with a stand-in for python that notes its arguments and leaves what training
    leaves.
    """
    stand_in = tmp_path / 'python'
    stand_in.write_text(
        '#!/bin/bash\nprintf "%q " "$@" >> "$CALLS"; echo >> "$CALLS"\n'
        'while [ $# -gt 0 ]; do case $1 in --project) project=$2;; --name) name=$2;; esac; shift; done\n'
        'if [ -n "$name" ]; then mkdir -p "$project/$name/weights"; touch '
        '"$project/$name/weights/state_last.pt"; fi\n'
        'exit "${STATUS:-0}"\n'
    )
    stand_in.chmod(0o755)
    calls = tmp_path / 'calls'
    calls.write_text('')
    environment = {**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'CALLS': str(calls), **variables}
    done = subprocess.run(['bash', *words], cwd=tmp_path, env=environment, capture_output=True, text=True)
    return done, [shlex.split(line) for line in calls.read_text().splitlines()]


def test_the_scripts_train_the_four_stages_with_the_published_settings_each_from_the_one_before(tmp_path):
    done, calls = run_script(tmp_path, str(ROOT / 'scripts' / 'train_all.sh'), 'my data', 'my runs')
    assert done.returncode == 0, done.stderr
    assert [Path(call[0]).name for call in calls] == [f'train_{stage}.py' for stage in STAGES]
    parsed = {Path(call[0]).stem[6:]: parse_train_options(Path(call[0]).stem[6:], call[1:]) for call in calls}
    for stage, batch_size in {'pb_warp': 18, 'pb_e2e': 14, 'pf_warp': 8, 'pf_e2e': 6}.items():
        options = parsed[stage]
        assert (options.batch_size, options.workers, options.lr, options.niter, options.niter_decay) == (
            batch_size,
            16,
            5e-5,
            50,
            50,
        )
        assert (options.save_period, options.print_step, options.sample_step) == (20, 200, 1000)
        assert options.align_corners and options.optimizer == 'Adam'
        assert (options.dataroot, options.project) == ('my data', 'my runs')
    assert [options.name for options in parsed.values()] == [
        'Teacher_warp',
        'Teacher_e2e',
        'Student_warp',
        'Student_e2e',
    ]
    teacher = 'my runs/Teacher_e2e/weights/pb_{}_last.pt'
    assert parsed['pb_warp'].pb_warp_checkpoint is None
    assert parsed['pb_e2e'].pb_warp_checkpoint == 'my runs/Teacher_warp/weights/pb_warp_last.pt'
    for stage in ('pf_warp', 'pf_e2e'):
        assert parsed[stage].pb_warp_checkpoint == teacher.format('warp')
        assert parsed[stage].pb_gen_checkpoint == teacher.format('gen')
    assert parsed['pf_e2e'].pf_warp_checkpoint == 'my runs/Student_warp/weights/pf_warp_last.pt'


def test_a_stage_that_was_interrupted_is_continued_and_none_follows_one_that_failed(tmp_path, monkeypatch):
    script = str(ROOT / 'scripts' / 'train_all.sh')
    done, calls = run_script(tmp_path, script, STATUS='143')
    assert done.returncode == 143 and len(calls) == 1
    (tmp_path / 'runs' / 'train' / 'Teacher_e2e').mkdir()  # killed before it saved anything
    monkeypatch.chdir(tmp_path)
    sources = [
        parse_train_options(Path(call[0]).stem[6:], call[1:]) for call in run_script(tmp_path, script)[1][:1]
    ]
    assert [source.run for source in sources] == ['runs/train/Teacher_warp']
    done, calls = run_script(tmp_path, script)
    assert done.returncode == 0 and len(calls) == 4
    assert all(call[call.index('--resume') + 1] == 'auto' for call in calls)


@pytest.mark.parametrize('place', ['VITON_{}', 'dataset/VITON-Clean/VITON_{}', 'dataset/my viton/{}'])
def test_the_scripts_find_the_data_where_download_and_convert_leave_it_and_validate_on_the_test_set(
    tmp_path, place
):
    folders = {
        phase: tmp_path / place.format(name) for phase, name in (('train', 'traindata'), ('test', 'test'))
    }
    for phase, folder in folders.items():
        folder.mkdir(parents=True)
        (folder / f'{phase}_pairs.txt').touch()
    done, calls = run_script(tmp_path, str(ROOT / 'scripts' / 'train_all.sh'))
    assert done.returncode == 0, done.stderr
    options = [parse_train_options(Path(call[0]).stem[6:], call[1:]) for call in calls]
    assert {tmp_path / each.dataroot for each in options} == {folders['train']}
    assert [each.valroot and tmp_path / each.valroot for each in options] == [
        None,
        None,
        None,
        folders['test'],
    ]
    done, calls = run_script(tmp_path, str(ROOT / 'scripts' / 'train_pf_e2e.sh'), VALROOT='')
    assert done.returncode == 0 and '--valroot' not in calls[0]


def test_without_data_the_scripts_name_the_usual_folder_and_validate_on_nothing(tmp_path):
    done, calls = run_script(tmp_path, str(ROOT / 'scripts' / 'train_pf_e2e.sh'))
    assert done.returncode == 0, done.stderr
    options = parse_train_options('pf_e2e', calls[0][1:])
    assert (options.dataroot, options.valroot) == ('VITON_traindata', None)


def test_a_script_passes_on_further_options_and_takes_variables(tmp_path):
    words = [str(ROOT / 'scripts' / 'train_pb_warp.sh'), '--niter', '3', '--device', 'cpu']
    done, calls = run_script(tmp_path, *words, DATAROOT='d', PROJECT='p')
    assert done.returncode == 0, done.stderr
    options = parse_train_options('pb_warp', calls[0][1:])
    assert (options.dataroot, options.project, options.niter, options.device) == ('d', 'p', 3, 'cpu')
