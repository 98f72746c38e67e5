"""Answers are kept by key, within a number of bytes, for threads and for processes."""

import pathlib
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdistill._targets._answer import Answer
from skdistill._transfer._store import AnswerStore, remembered, store
from skdistill.utils._fingerprint import Fingerprint

TIME_LIMIT = 30
LASTING = Fingerprint("of installed code", is_lasting=True)
PASSING = Fingerprint("of own code", is_lasting=False)


def answer(n_bytes=40, value=0.0, **parts):
    """Return an answer that takes so many bytes."""
    values = np.full((n_bytes // 4, 1), value, dtype=np.float32)
    return Answer(values, np.array([], dtype=float), **parts)


def fail():
    pytest.fail("it is asked for again")


def ask_for(small, keys):
    """Ask for keys in turn; return how often each was not there."""
    missed = Counter()
    for key in keys:

        def ask(key=key):
            missed[key] += 1
            return answer()

        small.get(str(key), ask)
    return missed


def test_teacher_that_was_fitted_is_handed_out_and_not_kept():
    small = AnswerStore()
    teacher = object()

    first = small.get("a", lambda: answer(teacher=teacher))

    assert first.teacher is teacher
    assert small.get("a", fail).teacher is None


# How much is kept


@pytest.mark.parametrize(("n_bytes", "kept"), [(100, True), (104, False)])
def test_answer_larger_than_the_store_is_handed_out_and_not_kept(n_bytes, kept):
    small = AnswerStore(max_bytes=100)
    small.get("old", lambda: answer(20))

    given = small.get("a", lambda: answer(n_bytes, value=3.0))

    assert_array_equal(given.values, 3.0)
    assert small.nbytes == (100 if kept else 20)


@pytest.mark.parametrize("seed", range(3))
def test_limit_is_never_exceeded(seed):
    rng = np.random.default_rng(seed)
    small = AnswerStore(max_bytes=5000)

    for key in range(100):
        size = 4 * int(rng.integers(1, 400))
        small.get(str(key), lambda size=size: answer(size))
        assert 0 < small.nbytes <= 5000


def test_full_store_takes_new_answers():
    small = AnswerStore(max_bytes=400)
    ask_for(small, range(10))

    ask_for(small, ["new"])

    assert small.nbytes == 400
    assert small.get("new", fail)


def test_answers_that_were_used_lately_are_not_dropped():
    small = AnswerStore(max_bytes=400)  # 10 answers
    ask_for(small, ["old"] * 10 + list(range(20)))

    missed = ask_for(small, [*"abcd"] * 50)

    assert missed == dict.fromkeys("abcd", 1)


def test_answers_in_use_outlast_any_number_of_others():
    small = AnswerStore(max_bytes=400)
    rounds = ([*"abc", f"other {number}"] for number in range(100))

    missed = ask_for(small, [key for keys in rounds for key in keys])

    assert [missed[key] for key in "abc"] == [1, 1, 1]


def test_cycle_through_one_answer_too_many_still_finds_some():
    small = AnswerStore(max_bytes=400)

    missed = ask_for(small, [*range(11)] * 20)

    assert missed.total() < 0.6 * 11 * 20


# Threads


def in_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


def test_threads_that_ask_for_one_key_ask_once():
    small, others, found = AnswerStore(), [], []

    def ask():
        for _ in range(3):
            others.append(in_thread(lambda: found.append(small.get("a", fail))))
        others[0].join(0.1)  # it has to wait
        assert all(other.is_alive() for other in others)
        return answer()

    first = small.get("a", ask)
    for other in others:
        other.join(TIME_LIMIT)

    assert [one.values is first.values for one in found] == [True] * 3


def test_threads_with_other_keys_do_not_wait():
    small, both_ask = AnswerStore(), threading.Barrier(2)

    def ask():
        both_ask.wait(TIME_LIMIT)  # passes once both threads are asking
        return answer()

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda key: small.get(key, ask), "ab"))

    assert [one.nbytes for one in found] == [40, 40]


def test_answer_may_need_another_answer():
    small = AnswerStore()

    assert small.get("a", lambda: small.get("b", answer)).nbytes == 40


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_error_while_asking_comes_through_and_leaves_the_store_usable(error):
    small, found = AnswerStore(), []

    def ask():
        raise error("out of memory")

    with pytest.raises(error, match="out of memory"):
        small.get("a", ask)

    other = in_thread(lambda: found.append(small.get("a", answer)))
    other.join(TIME_LIMIT)
    assert len(found) == 1


def test_thread_that_waits_for_one_that_fails_asks_by_itself():
    small, found, waiting = AnswerStore(), [], []

    def ask():
        waiting.append(in_thread(lambda: found.append(small.get("a", answer))))
        waiting[0].join(0.1)
        raise ValueError("once")

    with pytest.raises(ValueError, match="once"):
        small.get("a", ask)

    waiting[0].join(TIME_LIMIT)
    assert len(found) == 1


def test_many_threads_and_keys_ask_for_each_once():
    small, asked = AnswerStore(), Counter()

    def get(number):
        def ask():
            asked[number] += 1
            return answer(value=number)

        return small.get(str(number), ask).values[0, 0]

    numbers = [*range(20)] * 20
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(get, numbers)) == numbers
    assert asked == dict.fromkeys(range(20), 1)
    assert small.nbytes == 20 * 40


def test_nothing_is_left_of_keys_whose_answers_were_dropped():
    small = AnswerStore(max_bytes=0)

    ask_for(small, range(10))

    assert not small._answers
    assert not small._asking


# One store for the process, and a memory for the next


def test_answers_are_remembered_for_the_process():
    first = remembered(LASTING, answer)

    assert remembered(LASTING, fail).values is first.values
    assert store.nbytes == first.nbytes


def test_question_without_a_fingerprint_is_asked_each_time():
    values = iter([1.0, 2.0])

    found = [
        remembered(None, lambda: answer(value=next(values))).values[0, 0]
        for _ in range(2)
    ]

    assert found == [1.0, 2.0]
    assert store.nbytes == 0


@pytest.mark.parametrize(
    "make_memory",
    [
        str,
        pathlib.Path,
        lambda path: joblib.Memory(path, verbose=0),
        lambda path: joblib.Memory(path, mmap_mode="r", verbose=0),
    ],
    ids=["str", "Path", "Memory", "mapped"],
)
def test_memory_keeps_all_but_the_teacher_beyond_the_process(make_memory, tmp_path):
    features = np.ones((10, 2), np.float32)
    given = answer(
        value=0.5, are_logits=True, features=features, reduction=[None], teacher=1
    )
    remembered(LASTING, lambda: given, make_memory(tmp_path))
    store.clear()  # as in a new process

    found = remembered(LASTING, fail, make_memory(tmp_path))

    for part in ("values", "columns", "features"):
        assert_array_equal(getattr(found, part), getattr(given, part))
    assert (found.are_logits, found.reduction, found.teacher) == (True, [None], None)


def test_answer_that_is_asked_for_hands_out_its_teacher_despite_a_memory(tmp_path):
    assert remembered(LASTING, lambda: answer(teacher=1), tmp_path).teacher == 1


def test_memory_and_process_get_what_the_other_remembers(tmp_path):
    remembered(LASTING, answer)
    remembered(LASTING, fail, tmp_path)
    store.clear()

    assert remembered(LASTING, fail, tmp_path).nbytes == 40
    assert remembered(LASTING, fail).nbytes == 40


def test_what_own_code_answered_stays_within_the_process(tmp_path):
    remembered(PASSING, answer, tmp_path)

    assert remembered(PASSING, fail, tmp_path)
    store.clear()
    found = remembered(PASSING, lambda: answer(value=2.0), tmp_path)
    assert found.values[0, 0] == 2.0
    assert not any(tmp_path.iterdir())


def test_memory_stays_where_it_was_given(tmp_path):
    remembered(LASTING, answer, tmp_path / "labels")

    assert [path.name for path in tmp_path.iterdir()] == ["labels"]
    assert list((tmp_path / "labels").rglob("output.pkl"))


def test_what_is_no_memory_is_refused():
    with pytest.raises(ValueError, match="memory"):
        remembered(LASTING, answer, 5)
