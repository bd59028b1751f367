import json
import os
import signal
import threading
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from ugatit_fast import machine
from ugatit_fast.machine import Stop, origin, pip_install, stopping_signals


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


class Installed:
    """A distribution, as far as its origin is asked for."""

    def __init__(self, noted: object) -> None:
        self.noted = noted

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self.noted is None else json.dumps(self.noted)


def test_what_to_install_names_where_we_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of sources that is there; there is no release whose name would do."""
    here = {"url": tmp_path.as_uri(), "dir_info": {"editable": True}}
    gone = {"url": (tmp_path / "gone").as_uri(), "dir_info": {}}
    wheel = {"url": (tmp_path / "a.whl").as_uri(), "archive_info": {}}
    for noted, named in ((here, tmp_path), (gone, "ugatit-fast"), (wheel, "ugatit-fast"), (None, "ugatit-fast")):
        monkeypatch.setattr(machine, "distribution", lambda _, noted=noted: Installed(noted))
        assert pip_install("cpu", "torch") == f'pip install "{named}[cpu,torch]"'


def test_a_checkout_that_is_not_installed_has_no_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> object:
        raise PackageNotFoundError

    monkeypatch.setattr(machine, "distribution", absent)
    assert origin() == "ugatit-fast"
