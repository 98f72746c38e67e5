"""Ctrl-C, and what code raises in its likeness."""

import os
import signal
import threading

import pytest

from skdistill.utils._interrupts import noticing_interrupts


def test_ctrl_c_is_noted_and_interrupts_as_before():
    with pytest.raises(KeyboardInterrupt), noticing_interrupts() as seen:
        os.kill(os.getpid(), signal.SIGINT)
    assert seen == [signal.SIGINT]


def test_an_exception_that_code_raises_is_not_noted():
    with pytest.raises(KeyboardInterrupt), noticing_interrupts() as seen:
        raise KeyboardInterrupt
    assert seen == []


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda number, frame: None])
def test_the_handler_of_the_process_stays(handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        with noticing_interrupts() as seen:
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is handler
        assert len(seen) == (handler is not signal.SIG_IGN)
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_sets_no_handler():
    found = []

    def enter():
        with noticing_interrupts() as seen:
            found.append((signal.getsignal(signal.SIGINT), seen))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [(before, [])]
