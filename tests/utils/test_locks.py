"""Locks that survive a fork, and do not outlive their owners."""

import gc
import multiprocessing
import threading
import weakref

import pytest

from skdistill.utils._locks import ForkSafeLock

TIME_LIMIT = 30


@pytest.fixture
def lock():
    return ForkSafeLock()


@pytest.fixture
def holder(lock):
    """Let another thread hold the lock; return what lets it go on."""
    held, go_on = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            go_on.wait(TIME_LIMIT)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(TIME_LIMIT)
    yield go_on
    go_on.set()
    thread.join(TIME_LIMIT)


def test_lock_keeps_other_threads_out(lock, holder):
    entered = threading.Event()

    def enter():
        with lock:
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()

    assert not entered.wait(0.1)
    holder.set()
    assert entered.wait(TIME_LIMIT)
    thread.join(TIME_LIMIT)


def test_thread_that_holds_a_lock_may_take_it_again(lock):
    with lock, lock:
        pass


def test_lock_is_open_again_after_an_error(lock):
    with pytest.raises(ValueError, match="inside"), lock:
        raise ValueError("inside")

    entered = threading.Thread(target=lock.__enter__)
    entered.start()
    entered.join(TIME_LIMIT)
    assert not entered.is_alive()


def enter_in_child(lock):
    with lock:
        pass


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="there is no fork"
)
def test_child_process_does_not_wait_for_a_thread_of_its_parent(lock, holder):
    child = multiprocessing.get_context("fork").Process(
        target=enter_in_child, args=[lock]
    )
    child.start()
    child.join(TIME_LIMIT)
    code = child.exitcode
    child.kill()

    assert code == 0


def test_locks_that_nobody_holds_on_to_are_gone():
    lock = ForkSafeLock()
    gone = weakref.ref(lock)

    del lock
    gc.collect()

    assert gone() is None
