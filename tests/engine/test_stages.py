"""The four training stages: every combination of families learns, the teacher does not, a step is the sum of
its terms.
"""

import functools
import itertools
from typing import NamedTuple

import pytest
import torch
from torch import nn

import engine.stages
from data.training_inputs import derive_masks
from engine.base_stage import Stage, StepResult
from engine.stages import STAGES, create_stage
from models import FAMILIES, create_generator, create_warp
from models.warp_modules import style_afwm

SIZE, NITER = 64, 7
TEACHERS = [name for name, family in FAMILIES.items() if 'teacher' in family.roles]
PAIRS = list(itertools.product(TEACHERS, FAMILIES))
PUBLISHED = [name for name in STAGES if not name.endswith('truth')]
TRAINED = {
    'pb_warp': {'pb_warp': 1.0},
    'pb_e2e': {'pb_warp': 0.2, 'pb_gen': 1.0},
    'pf_warp': {'pf_warp': 1.0},
    'pf_e2e': {'pf_warp': 0.2, 'pf_gen': 1.0},
}
FROZEN = {'pb_warp': (), 'pb_e2e': (), 'pf_warp': ('pb_warp', 'pb_gen'), 'pf_e2e': ('pb_warp', 'pb_gen')}
WARP_TERMS = (
    'offset_tv',
    'cloth_l1',
    'cloth_vgg',
    'edge_l1',
    'flow_curvature',
    'distil_feature',
    'distil_flow',
)


def distance(picture, target):
    """A perceptual distance that is cheap."""
    return (picture - target).square().mean()


@pytest.fixture(scope='module', autouse=True)
def small_and_kept_networks():
    """FS-VTON's style convs made for 64 x 64, and each network made once a role: to draw its weights takes a
    second.

    The networks at their own size are the business of the parity tests.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style_afwm, 'COARSEST', (SIZE // 32, SIZE // 32))
        patch.setattr(style_afwm.StyleAFWM, 'fixed_size', (SIZE, SIZE))
        for create in (create_warp, create_generator):
            patch.setattr(engine.stages, create.__name__, functools.cache(create))
        yield


@pytest.fixture(scope='module', autouse=True)
def one_thread():
    """Maps this small gain nothing from a second thread, and lose much where the cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def batch(weights):
    """Two small records with every kind of region in them."""
    return {name: x[..., 64 : 64 + SIZE, 64 : 64 + SIZE] for name, x in weights.train_batch(7).items()}


@pytest.fixture(scope='module')
def record(batch):
    """The first of them, where one is enough."""
    return {name: x[:1] for name, x in batch.items()}


def make_stage(name, **options):
    """A stage whose networks are as new: the kept ones lose gradients and frozen parameters of the test
    before.
    """
    stage = create_stage(name, **{'teacher': 'dm_vton', 'niter': NITER, 'perceptual': distance, **options})
    for module in stage.modules.values():
        module.requires_grad_(True)
    for network in stage.networks.values():
        network.zero_grad()
    return stage


class Wrapper(nn.Module):
    """Counts how often the module it wraps is called, through its forward as DistributedDataParallel
    needs.
    """

    def __init__(self, module):
        super().__init__()
        self.module, self.calls = module, 0

    def forward(self, *arguments, **options):
        self.calls += 1
        return self.module(*arguments, **options)


class Step(NamedTuple):
    """A step that was taken, forward and backward."""

    stage: Stage
    result: StepResult
    perceived: list  # the pairs of pictures that the perceptual distance compared


@pytest.fixture(scope='module')
def steps(batch):
    """One step of each stage with every trained network wrapped, by the stage's name."""

    @functools.cache
    def take(name: str) -> Step:
        perceived = []
        stage = make_stage(name, perceptual=lambda *pair: perceived.append(pair) or distance(*pair))
        for part in stage.modules:
            stage.wrap(part, Wrapper)
        result = stage.step(batch, 1)
        result.loss.backward()
        check_step(stage, result)
        return Step(stage, result, perceived)

    return take


def check_step(stage, result):
    """Whatever is trained has a gradient, whatever is frozen has none."""
    assert result.loss.shape == () and result.loss.isfinite()
    for name, network in stage.networks.items():
        gradients = [parameter.grad for parameter in network.parameters()]
        if name in stage.lr_scale:
            assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients), name
            assert any(gradient.any() for gradient in gradients), name
        else:
            assert gradients == [None] * len(gradients), name
            assert not any(parameter.requires_grad for parameter in network.parameters()), name


@pytest.mark.parametrize('teacher, student', PAIRS)
def test_every_teacher_teaches_every_student(teacher, student, record):
    stage = make_stage('pf_e2e', teacher=teacher, student=student)
    result = stage.step(record, 1)
    result.loss.backward()
    check_step(stage, result)


@pytest.mark.parametrize('teacher', TEACHERS)
def test_every_teacher_learns(teacher, record):
    stage = make_stage('pb_e2e', teacher=teacher)
    result = stage.step(record, 1)
    result.loss.backward()
    check_step(stage, result)


@pytest.mark.parametrize('name', PUBLISHED)
def test_the_loss_is_the_weighted_sum_of_the_terms(name, steps):
    loss, terms, _ = steps(name).result
    assert not any(x.requires_grad or x.shape for x in terms.values())
    parts = {key: x for key, x in terms.items() if key not in ('warp', 'gen', 'open_gates')}
    warp = sum(x for key, x in parts.items() if key in WARP_TERMS)
    gen = sum(x for key, x in parts.items() if key not in WARP_TERMS)
    torch.testing.assert_close(terms['warp'], warp)
    torch.testing.assert_close(terms.get('gen', 0), gen)
    torch.testing.assert_close(loss.detach(), {'pb_e2e': 0.5, 'pf_e2e': 0.25}.get(name, 1) * warp + gen)


@pytest.mark.parametrize('name', PUBLISHED)
def test_the_panels_are_pictures_that_hold_no_graph(name, steps):
    panels = steps(name).result.panels
    assert {'person', 'cloth', 'warped_cloth', 'edge', 'worn_mask', 'preserved', 'densepose'} <= panels.keys()
    assert ('bare_arms' in panels, 'skin_mask' in panels) == (name == 'pb_e2e', name == 'pf_e2e')
    assert (
        panels['edge'].unique().tolist() == [-1, 1]
        and len(panels['densepose'].flatten(2).unique(dim=2)[0, 0]) > 2
    )
    assert ('tryon' in panels) == name.endswith('e2e') and ('fake_person' in panels) == name.startswith('pf')
    for key, picture in panels.items():
        assert picture.shape == (2, 3, SIZE, SIZE) and not picture.requires_grad, key
        assert picture.abs().max() <= 1 + 1e-6, key  # sampling may round above a mask's 1


@pytest.mark.parametrize('name', PUBLISHED)
def test_a_step_calls_what_is_wrapped_around_a_trained_network_once(name, steps):
    stage = steps(name).stage
    assert {part: module.calls for part, module in stage.modules.items()} == dict.fromkeys(TRAINED[name], 1)
    assert not any(isinstance(network, Wrapper) for network in stage.networks.values())


@pytest.mark.parametrize('name, count', [('pb_warp', 5), ('pb_e2e', 7), ('pf_warp', 5), ('pf_e2e', 8)])
def test_no_perceptual_distance_is_computed_twice_and_none_drops_its_terms(name, count, record, steps):
    _, (_, terms, _), perceived = steps(name)
    assert len(perceived) == count
    with torch.no_grad():
        bare = make_stage(name, perceptual=None).step(record, 1).terms
    assert bare.keys() == {key for key in terms if not key.endswith('_vgg')} != terms.keys()


@pytest.mark.parametrize('name', PUBLISHED)
def test_a_stage_has_the_networks_it_trains_and_those_it_learns_from(name):
    stage = make_stage(name)
    assert dict(stage.lr_scale) == TRAINED[name]
    assert stage.networks.keys() == {*TRAINED[name], *FROZEN[name]}
    assert dict(stage.modules) == {part: stage.networks[part] for part in TRAINED[name]}


def watch(patch, owner, name, calls):
    """Note the arguments of each call of `owner.name` in `calls[name]`."""
    plain = getattr(owner, name)

    def noting(*arguments, **options):
        calls.setdefault(name, []).append(arguments)
        return plain(*arguments, **options)

    patch.setattr(owner, name, noting)


@pytest.mark.parametrize('name', ['pf_warp', 'pf_e2e'])
def test_the_teacher_runs_once_and_encodes_the_condition_once(name, record, monkeypatch):
    stage, calls = make_stage(name), {}
    for owner, method in (
        (stage.teacher.warp, 'encode_condition'),
        (stage.teacher.warp, 'encode_cloth'),
        (stage.teacher.generator, 'forward'),
    ):
        watch(monkeypatch, owner, method, calls)
    stage.step(record, 1)
    assert {method: len(arguments) for method, arguments in calls.items()} == {
        'encode_condition': 1,
        'encode_cloth': 2,
        'forward': 1,
    }


def test_the_teacher_dresses_the_person_in_the_unpaired_garment(record, monkeypatch):
    stage, calls, inputs = make_stage('pf_e2e'), {}, derive_masks(record)
    watch(monkeypatch, stage.teacher.generator, 'forward', calls)
    supervision = stage.teacher(inputs._replace(condition=inputs.condition.clone().requires_grad_()))
    with torch.no_grad():
        fake = stage.teacher.warp(inputs.condition, inputs.unpaired_cloth, inputs.unpaired_edge)
        paired = stage.teacher.warp(inputs.condition, inputs.cloth, inputs.edge)
    [(generator_input,)] = calls['forward']
    expected = [inputs.preserved, fake.cloth, fake.edge, inputs.arms * (1 - fake.edge)]
    torch.testing.assert_close(generator_input, torch.cat(expected, dim=1))
    torch.testing.assert_close(supervision.fake_edge, fake.edge)
    torch.testing.assert_close(supervision.warped.cloth, paired.cloth)
    assert len(supervision.warped.levels) == 5
    assert not supervision.fake_person.requires_grad and not supervision.warped.flow.requires_grad


def test_a_teacher_in_training_sees_the_preserved_picture_and_the_bare_arms(batch, monkeypatch):
    stage, calls, inputs = make_stage('pb_e2e'), {}, derive_masks(batch)
    watch(monkeypatch, stage.networks['pb_gen'], 'forward', calls)
    warped_cloth = stage.step(batch, 1).panels['warped_cloth']
    [(generator_input,)] = calls['forward']
    torch.testing.assert_close(generator_input[:, :3], inputs.preserved)
    torch.testing.assert_close(generator_input[:, 3:6].detach(), warped_cloth)
    torch.testing.assert_close(generator_input[:, 7:], inputs.arms * (1 - inputs.person_cloth_mask))
    assert (inputs.arms * inputs.person_cloth_mask).any(), 'no covered arm, so the comparison says nothing'


def test_the_student_sees_the_fake_person_and_the_paired_garment_alone(record, monkeypatch):
    stage, calls, inputs = make_stage('pf_e2e'), {}, derive_masks(record)
    watch(monkeypatch, stage.networks['pf_warp'], 'forward', calls)
    panels = stage.step(record, 1).panels
    [(condition, cloth, edge)] = calls['forward']
    assert torch.equal(condition, panels['fake_person']) and not torch.equal(condition, inputs.person)
    assert torch.equal(cloth, inputs.cloth) and torch.equal(edge, inputs.edge)


def test_the_skin_is_where_the_fake_garment_lies_and_the_person_wears_none(record):
    perceived, inputs = [], derive_masks(record)
    stage = make_stage('pf_e2e', perceptual=lambda *pair: perceived.append(pair) or distance(*pair))
    with torch.no_grad():
        stage.step(record, 1)
    skin = stage.teacher(inputs).fake_edge * (1 - inputs.person_cloth_mask)
    assert (skin > 0).any() and (inputs.person_cloth_mask > 0).any(), (
        'without both the comparison says nothing'
    )
    _, target = perceived[-1]
    torch.testing.assert_close(target, inputs.person * skin)


def test_the_skin_weighs_twice_once_the_learning_rate_decays(record):
    stage = make_stage('pf_e2e')
    with torch.no_grad():
        early, late = stage.step(record, NITER).terms, stage.step(record, NITER + 1).terms
    for key in early:
        if key in ('gen', 'open_gates') or key.startswith('distil'):
            continue
        torch.testing.assert_close(
            late[key], (2 if key.startswith('skin') else 1) * early[key], rtol=1e-4, atol=1e-6
        )
    assert early['skin_l1'] > 0 and early['skin_vgg'] > 0


def test_a_frozen_network_stays_in_eval_mode_and_a_trained_one_does_not(batch):
    stage = make_stage('pf_e2e')
    stage.train(False)
    assert not any(network.training for network in stage.networks.values())
    stage.networks['pb_gen'].train()
    stage.train()
    modes = {
        name: {module.training for module in network.modules()} for name, network in stage.networks.items()
    }
    assert modes == {'pb_warp': {False}, 'pb_gen': {False}, 'pf_warp': {True}, 'pf_gen': {True}}
    before = {name: x.clone() for name, x in stage.teacher.state_dict().items()}
    student = stage.networks['pf_warp'].state_dict()['image_mobile.first_layer.1.running_mean'].clone()
    stage.step(batch, 1)
    assert all(torch.equal(x, before[name]) for name, x in stage.teacher.state_dict().items())
    assert not torch.equal(stage.networks['pf_warp'].image_mobile.first_layer[1].running_mean, student)


def test_only_a_trained_network_can_be_wrapped():
    with pytest.raises(ValueError, match='pf_warp, pf_gen'):
        make_stage('pf_e2e').wrap('pb_warp', Wrapper)


@pytest.fixture
def process_group(tmp_path):
    if not torch.distributed.is_available():
        pytest.skip('this torch has no distributed training')
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path / "store"}', rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def test_a_step_is_the_same_under_distributed_data_parallel(process_group, record):
    gradients = []
    for wrapper in (nn.Identity, nn.parallel.DistributedDataParallel):
        stage = make_stage('pf_e2e')
        if wrapper is not nn.Identity:
            for part in stage.modules:
                stage.wrap(part, wrapper)
        stage.step(record, 1).loss.backward()
        gradients.append(
            [p.grad.clone() for part in TRAINED['pf_e2e'] for p in stage.networks[part].parameters()]
        )
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)


class Halved(Wrapper):
    """Gives what a warp network gives under mixed precision: all but the flows in 16 bits."""

    def forward(self, *arguments, **options):
        warped = self.module(*arguments, **options)
        levels = tuple(self.halve(level) for level in warped.levels)
        return self.halve(warped._replace(levels=()))._replace(levels=levels)

    @staticmethod
    def halve(output):
        parts = {name: x.bfloat16() for name, x in output._asdict().items() if name not in ('flow', 'levels')}
        return output._replace(**parts)


def test_losses_stay_wide_where_the_networks_give_sixteen_bits(record):
    stage = make_stage('pf_warp')
    stage.wrap('pf_warp', Halved)
    with torch.no_grad():
        result = stage.step(record, 1)
    perceived = {
        'warp',
        'cloth_vgg',
    }  # the perceptual distance is a part that is passed, in the precision it likes
    assert {x.dtype for name, x in result.terms.items() if name not in perceived} == {torch.float32}
    assert result.loss.isfinite()


def test_double_precision_stays_double(record):
    stage = make_stage('pf_warp').to(torch.float64)
    try:
        result = stage.step({name: x.double() for name, x in record.items()}, 1)
        assert {x.dtype for x in (result.loss, *result.terms.values())} == {torch.float64}
    finally:
        stage.to(torch.float32)


def test_to_moves_the_perceptual_distance_too():
    class Distance(nn.Linear):
        pass

    stage = make_stage('pb_warp', perceptual=Distance(1, 1))
    try:
        assert stage.to(torch.float64) is stage
        assert (
            stage.perceptual.weight.dtype
            == next(stage.networks['pb_warp'].parameters()).dtype
            == torch.float64
        )
    finally:
        stage.to(torch.float32)


def test_an_unknown_stage_or_family_is_answered_with_what_there_is():
    with pytest.raises(ValueError, match=r"'pf_all'.*pb_warp, pb_e2e, pf_warp, pf_e2e"):
        create_stage('pf_all')
    for stage in STAGES:
        with pytest.raises(ValueError, match=r'rmgn has no teacher; choose from pf_afn, fs_vton, dm_vton\b'):
            create_stage(stage, teacher='rmgn')
        with pytest.raises(ValueError, match=r"no family 'vgg'; choose from pf_afn, fs_vton, rmgn, dm_vton"):
            create_stage(stage, student='vgg')


def test_align_corners_reaches_every_warp_network(monkeypatch):
    made = []
    monkeypatch.setattr(
        engine.stages, 'create_warp', lambda *_, align_corners: made.append(align_corners) or nn.Identity()
    )
    monkeypatch.setattr(engine.stages, 'create_generator', lambda *_: nn.Identity())
    for align_corners in (True, False):
        create_stage('pf_e2e', align_corners=align_corners)
    assert made == [True, True, False, False]


@pytest.mark.parametrize('name', PUBLISHED)
def test_pictures_that_are_too_small_or_of_a_wrong_size_are_refused(name, record):
    with pytest.raises(ValueError, match=r'32 x 64.*64 or more'):
        make_stage(name).step({key: x[..., :32, :] for key, x in record.items()}, 1)
    with pytest.raises(ValueError, match='multiples of 32'):
        make_stage(name).step({key: torch.cat([x, x[..., :8]], dim=3) for key, x in record.items()}, 1)
