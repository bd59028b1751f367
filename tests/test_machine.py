import os
import signal
import threading

import pytest

from ugatit_fast.machine import Stop, stopping_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_for_a_stop_and_no_more(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stopping_signals() as stop:
        assert not stop.asked
        os.kill(os.getpid(), number)
        stop.wait()
        assert stop.asked
    assert signal.getsignal(number) is before


def test_the_second_ctrl_c_interrupts() -> None:
    with stopping_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        stop.wait()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_only_the_signals_named_are_taken() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stopping_signals(signal.SIGTERM) as stop:
        assert signal.getsignal(signal.SIGINT) is before
        assert signal.getsignal(signal.SIGTERM) is stop


def test_a_thread_that_is_not_the_main_one_keeps_its_hands_off() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[tuple[Stop, object]] = []

    def run() -> None:
        with stopping_signals() as stop:
            seen.append((stop, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    ((stop, handler),) = seen
    assert not stop.asked
    assert handler is before
