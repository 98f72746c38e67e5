"""Tasks that run one at a time, up to where their nets are trained together."""

import threading

import pytest

from skdistill._training import _lockstep
from skdistill._training._lockstep import Lockstep, current_task
from skdistill.utils._locks import ForkSafeLock


@pytest.fixture
def rounds(monkeypatch):
    """Return what is trained together, in place of training it."""
    found = []

    def train(self, trainees):
        found.append(list(trainees))
        return [f"trained {trainee}" for trainee in trainees]

    monkeypatch.setattr(Lockstep, "_train", train)
    return found


def test_tasks_wait_for_each_other(rounds):
    def once(name):
        return current_task().train(name)

    def twice():
        return once("b1"), once("b2")

    tasks = Lockstep().run([lambda: once("a"), twice, lambda: "no net"])
    results = [task.get() for task in tasks]
    assert results == ["trained a", ("trained b1", "trained b2"), "no net"]
    assert rounds == [["a", "b1"], ["b2"]]


def test_only_one_task_runs_at_a_time_in_order(rounds):
    steps = []

    def task(name):
        steps.append(f"{name} begins")
        current_task().train(name)
        steps.append(f"{name} ends")

    Lockstep().run([lambda: task("a"), lambda: task("b")])
    assert steps == ["a begins", "b begins", "a ends", "b ends"]


def test_the_error_of_a_task_is_its_own(rounds):
    def fails():
        raise OSError("disk full")

    bad, good = Lockstep().run([fails, lambda: current_task().train("a")])
    assert good.get() == "trained a"
    with pytest.raises(OSError, match="disk full"):
        bad.get()


def test_threads_end_where_the_training_fails(monkeypatch):
    def train(self, trainees):
        raise MemoryError

    monkeypatch.setattr(Lockstep, "_train", train)
    ended, threads = [], []

    def task():
        threads.append(threading.current_thread())
        try:
            current_task().train("a")
        finally:
            ended.append(True)

    with pytest.raises(MemoryError):
        Lockstep().run([task, task])
    for thread in threads:
        thread.join(10)
    assert ended == [True, True]


def test_code_that_holds_a_lock_trains_by_itself(rounds):
    def task():
        with ForkSafeLock():
            inside = current_task()
        return inside, current_task()

    ((inside, outside),) = (task.get() for task in Lockstep().run([task]))
    assert inside is None
    assert outside is not None


def test_other_code_is_part_of_no_task():
    assert current_task() is None
    found = []

    def task():
        thread = threading.Thread(target=lambda: found.append(current_task()))
        thread.start()
        thread.join()

    Lockstep().run([task])
    assert found == [None]


def test_nested_tasks_wait_for_their_own_round(rounds):
    def inner(name):
        return current_task().train(name)

    def outer():
        nested = Lockstep().run([lambda: inner("in1"), lambda: inner("in2")])
        return [task.get() for task in nested] + [current_task().train("out")]

    (task,) = Lockstep().run([outer])
    assert task.get() == ["trained in1", "trained in2", "trained out"]
    assert rounds == [["in1", "in2"], ["out"]]


def test_equal_nets_are_trained_once(monkeypatch):
    monkeypatch.setattr(
        _lockstep, "sorted_into_stacks", lambda trainees: ([[0, 2]], [0, 0, 2])
    )
    monkeypatch.setattr(
        _lockstep, "train_stack", lambda stack: [name.upper() for name in stack]
    )
    tasks = Lockstep().run(
        [lambda name=name: current_task().train(name) for name in ("a", "b", "c")]
    )
    assert [task.get() for task in tasks] == ["A", "A", "C"]
