"""Options of tryon.py that depend on one another."""

from opt.tryon_opt import parse_tryon_options


def options(*words):
    return parse_tryon_options([*map(str, words), '--out', 'out'])


def test_bad_pictures_are_left_out_of_folders_and_end_the_work_on_files(tmp_path):
    assert options('--person', tmp_path, '--garment', 'a.png').skip_bad is True
    assert options('--person', 'a.png', '--garment', tmp_path).skip_bad is True
    assert options('--person', 'a.png', '--garment', 'b.png').skip_bad is False
    assert options('--person', 'a.png', '--garment', 'b.png', '--skip_bad').skip_bad is True
    assert options('--person', tmp_path, '--garment', 'b.png', '--no_skip_bad').skip_bad is False


def test_a_video_needs_no_person():
    assert options('--video', 'clip.mp4', '--garment', 'a.png').skip_bad is False
