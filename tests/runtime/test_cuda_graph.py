"""The bookkeeping around CUDA graphs, with a stand-in for CUDA. `python -m scripts.check_gpu` runs the real
ones.
"""

import threading

import pytest
import torch

from runtime import cuda_graph
from runtime.cuda_graph import GraphedCall


class FakeEvent:
    """Counts what is recorded and waited for."""

    def __init__(self, log):
        self.log = log

    def record(self, stream):
        self.log.append(('record', id(self), stream))

    def synchronize(self):
        self.log.append(('synchronise', id(self)))


class FakeStream:
    def __init__(self, name, log):
        self.name, self.log = name, log

    def wait_event(self, event):
        self.log.append(('wait', id(event), self))


class FakeGraph:
    def __init__(self, replay):
        self.replay = replay


class FakeEngine:
    """Captures by computing once; a replay computes again from and into the same tensors."""

    def __init__(self):
        self.device = torch.device('cpu')
        self.log, self.captures, self.pinned = [], 0, 0
        self.current = FakeStream('main', self.log)

    def capture(self, call, inputs):
        self.captures += 1
        outputs = tuple(x.clone() for x in call(*inputs))

        def replay():
            self.log.append(('replay',))
            for place, x in zip(outputs, call(*inputs), strict=True):
                place.copy_(x)

        return FakeGraph(replay), outputs

    def event(self):
        return FakeEvent(self.log)

    def stream(self):
        return self.current

    def pinned_like(self, x):
        self.pinned += 1
        return torch.empty_like(x)


@pytest.fixture
def engine():
    return FakeEngine()


def double_and_sum(x, y):
    return 2 * x, x + y


def test_a_graph_is_recorded_once_a_shape_and_dtype(engine):
    call = GraphedCall(double_and_sum, engine)
    for _ in range(3):
        call(torch.ones(2), torch.ones(2))
    assert engine.captures == 1
    call(torch.ones(3), torch.ones(3))
    call(torch.ones(2).double(), torch.ones(2).double())
    assert engine.captures == 3


def test_results_belong_to_the_caller_and_inputs_stay_as_they_are(engine):
    call = GraphedCall(double_and_sum, engine)
    x, y = torch.tensor([1.0]), torch.tensor([10.0])
    first = call(x, y)
    second = call(torch.tensor([5.0]), y)
    assert (
        first[0].item() == 2 and first[1].item() == 11 and second[0].item() == 10 and second[1].item() == 15
    )
    assert x.item() == 1 and y.item() == 10


def test_a_call_waits_for_the_one_before_whatever_its_stream(engine):
    call = GraphedCall(double_and_sum, engine)
    call(torch.ones(1), torch.ones(1))
    engine.current = FakeStream('other', engine.log)
    del engine.log[:]
    call(torch.ones(1), torch.ones(1))
    kinds = [entry[0] for entry in engine.log]
    assert kinds == ['wait', 'record', 'replay', 'record'] and engine.log[0][2].name == 'other'
    assert (
        engine.log[0][1] == engine.log[3][1] != engine.log[1][1]
    )  # waits for what the call before recorded last


def test_old_shapes_make_room(engine, monkeypatch):
    monkeypatch.setattr(cuda_graph, 'MOST_GRAPHS', 2)
    call = GraphedCall(double_and_sum, engine)
    for n in (1, 2, 1, 3):
        call(torch.ones(n), torch.ones(n))
    assert engine.captures == 3 and len(call.recorded) == 2
    call(torch.ones(1), torch.ones(1))
    assert engine.captures == 3  # used last but one, so it was kept
    call(torch.ones(2), torch.ones(2))
    assert engine.captures == 4


def test_inputs_from_another_device_go_through_pinned_memory_that_has_been_read(engine):
    call = GraphedCall(lambda x: (2 * x,), engine)
    call(torch.ones(2))
    (recorded,) = call.recorded.values()
    elsewhere = torch.empty(2, device='meta')
    del engine.log[:]
    place = type('Place', (), {'device': torch.device('cuda')})
    staged = call._staged(recorded, 0, torch.full((2,), 3.0), place)
    assert staged.tolist() == [3, 3] and staged is recorded.staging[0] and engine.pinned == 1
    assert engine.log == [('synchronise', id(recorded.uploaded))]
    assert call._staged(recorded, 0, elsewhere, elsewhere) is elsewhere


def test_threads_get_their_own_results(engine):
    call = GraphedCall(double_and_sum, engine)
    wrong = []

    def work(value):
        for _ in range(50):
            doubled, _ = call(torch.full((100,), value), torch.zeros(100))
            if not torch.equal(doubled, torch.full((100,), 2 * value)):
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(float(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and engine.captures == 1
