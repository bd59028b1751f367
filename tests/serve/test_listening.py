from pathlib import Path

import pytest

from ugatit_fast.errors import InputError
from ugatit_fast.serve.listening import Listening
from ugatit_fast.serve.settings import ServeSettings

KEY = "0123456789abcdef"


def test_the_key_comes_from_a_file_or_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("UGATIT_API_KEY", raising=False)
    assert Listening().api_key is None
    monkeypatch.setenv("UGATIT_API_KEY", KEY)
    assert Listening().api_key == KEY
    (tmp_path / "key").write_text("fedcba9876543210\n")
    assert Listening(api_key_file=tmp_path / "key").api_key == "fedcba9876543210"
    with pytest.raises(InputError, match="check the path"):
        _ = Listening(api_key_file=tmp_path / "nothing").api_key


def test_without_a_key_the_names_of_this_machine_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UGATIT_API_KEY", raising=False)
    settings = Listening(host="::1").guarded(ServeSettings(max_queue=3))
    assert settings == ServeSettings(max_queue=3, hosts=("[::1]", "localhost", "127.0.0.1"))
    monkeypatch.setenv("UGATIT_API_KEY", KEY)
    assert Listening(host="::1").guarded(ServeSettings()) == ServeSettings(api_key=KEY)
