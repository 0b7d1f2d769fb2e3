"""Devices by name, the log, pictures, profiling, and errors as one line."""

import errno
import logging
import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from engine.profiling import count_parameters, measure_runtime, memory_bytes, multiply_adds
from utils.cli import OptionParser
from utils.device import describe_device, select_device
from utils.errors import DataError, MissingFileError, UserError, exit_cleanly, first_line
from utils.log import create_logger, format_table
from utils.visual import contact_sheet, panel_row, to_picture


def test_the_cpu_is_taken_by_name():
    assert select_device('cpu') == torch.device('cpu')
    assert 'thread' in describe_device(torch.device('cpu'))


def test_no_name_takes_a_gpu_if_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert select_device('') == torch.device('cuda:0')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: True)
    assert select_device('') == torch.device('mps')
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: False)
    assert select_device('') == torch.device('cpu')


@pytest.mark.parametrize('name, number', [('0', 0), ('1', 1), ('1,0', 1), ('cuda', 0), ('cuda:1', 1)])
def test_a_number_is_a_cuda_device(name, number, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    assert select_device(name) == torch.device('cuda', number)


@pytest.mark.parametrize('name', ['2', '0,5', 'cuda:2', 'tpu', '-1', '0,', 'cuda:x', 'gpu0'])
def test_a_device_that_is_not_there_is_refused(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    with pytest.raises(UserError, match='device'):
        select_device(name)


def test_a_picture_is_rounded_to_the_nearest_level_and_clipped():
    tensor = torch.tensor([[[-1.0, 1.0, 0.0, 5.0]]]).expand(3, 1, 4)
    np.testing.assert_array_equal(np.asarray(to_picture(tensor))[0, :, 0], [0, 255, 128, 255])
    levels = torch.arange(256).float().view(1, 1, 256)
    np.testing.assert_array_equal(np.asarray(to_picture(levels / 127.5 - 1))[0, :, 1], np.arange(256))
    with pytest.raises(ValueError, match=r'got \[2, 4, 4\]'):
        to_picture(torch.zeros(2, 4, 4))


def test_panels_stand_in_order_and_a_sheet_holds_every_row():
    red, blue = Image.new('RGB', (200, 8), 'red'), Image.new('RGB', (200, 8), 'blue')
    row = panel_row([red, blue])
    assert row.getpixel((0, 0)) == (255, 0, 0) and row.getpixel((row.width - 1, 7)) == (0, 0, 255)
    sheet = np.asarray(contact_sheet([row] * 3, titles=['a', 'b'], note='a note'))
    assert (sheet == (255, 0, 0)).all(axis=2).sum() == 3 * 1600 and sheet.shape[1] == row.width


def test_a_sheet_of_small_pictures_is_enlarged_a_whole_number_of_times():
    row = panel_row([Image.new('RGB', (60, 80), 'red'), Image.new('RGB', (60, 80), 'blue')])
    sheet = np.asarray(contact_sheet([row] * 2, titles=['a', 'b']))
    assert sheet.shape[1] == 3 * row.width and sheet.shape[0] == 26 + 2 * 3 * row.height + 4
    assert (sheet[26:] == (255, 0, 0)).all(axis=2).sum() > 2 * 170 * 230


def test_the_log_goes_to_the_screen_and_to_the_run_folder(tmp_path, capsys):
    logger = create_logger(tmp_path)
    logger.info('hello')
    assert capsys.readouterr().out == 'hello\n'
    assert (tmp_path / 'log.txt').read_text().endswith(' hello\n')
    create_logger()
    assert all(not isinstance(handler, logging.FileHandler) for handler in logger.handlers)


def test_a_table_is_as_wide_as_its_entries():
    assert format_table(['a', 'bb'], [['xxx', 'y']]) == 'a    bb\n---  --\nxxx  y'


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.second = self.first
        self.register_buffer('mean', torch.zeros(5))

    def forward(self, x):
        return torch.bmm(self.first(x).flatten(2), x.flatten(2).transpose(1, 2))


def test_shared_tensors_are_counted_once_and_only_convolutions_are_operations():
    network = Tied()
    assert memory_bytes(network) == (4 * 3 * 9 + 5) * 4 and count_parameters(network) == 4 * 3 * 9
    assert multiply_adds(network, torch.zeros(2, 3, 8, 6)) == 2 * 8 * 6 * 4 * 3 * 9


def test_a_transposed_convolution_is_counted_by_its_input():
    network = nn.ConvTranspose2d(4, 2, 4, stride=2, padding=1)
    assert multiply_adds(network, torch.zeros(1, 4, 5, 6)) == 5 * 6 * 4 * 2 * 16


def test_runtime_warms_up_ten_times_and_stops_after_the_calls_asked_for():
    calls = []
    time = measure_runtime(calls.append, 1, device=torch.device('cpu'), calls=5)
    assert len(calls) == 15 and time.calls == 5 and 0 < time.median < 1000


@pytest.mark.parametrize('error, status', [(UserError('no'), 2), (DataError('no'), 1)])
def test_a_users_mistake_becomes_one_line_and_a_status(error, status, capsys):
    @exit_cleanly
    def main():
        raise error

    with pytest.raises(SystemExit) as exit_info:
        main()
    assert exit_info.value.code == status and capsys.readouterr().err == 'error: no\n'


def test_a_line_break_in_a_name_breaks_no_message(capsys):
    @exit_cleanly
    def main():
        raise MissingFileError('me\n\x1b[2J.png: no such file')

    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == 'error: me\\n\\x1b[2J.png: no such file\n'


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.ELOOP, errno.EFBIG, errno.EIO])
def test_what_the_disk_refuses_is_one_line(number, capsys):
    @exit_cleanly
    def main():
        raise OSError(number, os.strerror(number), 'run/file')

    with pytest.raises(SystemExit) as exit_info:
        main()
    assert exit_info.value.code == 1
    assert (
        capsys.readouterr().err
        == f'error: run/file: {os.strerror(number)}; make room, or give another folder\n'
    )


@pytest.mark.skipif(not hasattr(signal, 'SIGALRM'), reason='signals of POSIX')
def test_sigterm_lets_a_half_written_file_be_removed(tmp_path):
    import os

    from utils.paths import atomic_write

    @exit_cleanly
    def main():
        with atomic_write(tmp_path / 'file') as temporary:
            temporary.write_text('half')
            os.kill(os.getpid(), signal.SIGTERM)
            temporary.write_text('whole')

    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(SystemExit) as exit_info:
            main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert exit_info.value.code == 128 + signal.SIGTERM and list(tmp_path.iterdir()) == []


def test_a_fault_of_the_program_keeps_its_traceback():
    @exit_cleanly
    def main():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        main()


@pytest.mark.parametrize(
    'error, line',
    [
        (ValueError('\n first\nsecond'), 'first'),
        (ValueError(''), 'ValueError'),
        (OSError(28, 'No space left on device', 'x'), 'No space left on device'),
    ],
)
def test_the_first_line_of_an_error_is_never_empty(error, line):
    assert first_line(error) == line


def test_a_name_that_is_too_long_is_told_by_its_beginning_and_what_to_do(tmp_path, capsys):
    from utils.errors import exit_cleanly

    @exit_cleanly
    def main():
        (tmp_path / ('x' * 3000)).write_text('')

    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err
    assert 'too long; shorten it' in said and len(said) < 500


def test_an_option_takes_no_empty_text_unless_it_says_so():
    parser = OptionParser()
    parser.add_argument('--weights', nargs='+')
    parser.add_argument('--device', type=str, default='')
    assert parser.parse_args(['--device', '']).device == '' and parser.parse_args([]).weights is None
    with pytest.raises(UserError, match='--weights: an empty name'):
        parser.parse_args(['--weights', 'a.pt', ''])
