"""The list of weights: every entry says all it must, from a public page, and what commands make of its names."""

import re
import tomllib
from dataclasses import fields
from importlib.resources import files
from urllib.parse import urlsplit

import pytest

from ugatit_fast.assets import SHIPPED_PAIR, SHIPPED_TURNS, shipped_weights
from ugatit_fast.cli import main
from ugatit_fast.errors import CheckpointError
from ugatit_fast.weights import hub, web
from ugatit_fast.weights.known import Known, known_weights
from ugatit_fast.weights.locate import fetched

ENTRIES = tomllib.loads(files("ugatit_fast.weights").joinpath("known.toml").read_text(encoding="utf-8"))
MUST = {"family", "turns", "what", "licence", "source"}


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_says_what_it_must(name: str) -> None:
    entry = ENTRIES[name]
    assert MUST <= set(entry) <= {field.name for field in fields(Known)}
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name), "a word that no shell and no file name minds"
    before, after = entry["turns"]
    assert before
    assert after
    assert urlsplit(entry["source"]).scheme == "https"
    assert ("reference" in entry) != ("by_hand" in entry), "fetched by a program, or by a person who is told how"
    assert all(isinstance(entry[key], str) and entry[key] for key in set(entry) - {"turns", "size_bytes"})
    assert entry.get("size_bytes", 1) > 0
    assert re.fullmatch("[0-9a-f]{64}", entry.get("sha256", "0" * 64))


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if "reference" in entry])
def test_what_is_fetched_has_an_address_that_is_taken(name: str) -> None:
    reference = ENTRIES[name]["reference"]
    if hub.is_reference(reference):
        assert hub.parse_reference(reference).file
    else:
        web.check_address(reference, plain=False)


def test_the_authors_selfie2anime_is_among_them() -> None:
    assert {"selfie2anime-50", "selfie2anime-100"} <= set(known_weights())


def test_the_neighbours_own_are_among_them() -> None:
    """The six of CUT's archive, the four of AnimeGANv2's port and the three of its TensorFlow code."""
    names = set(known_weights())
    cut = {f"{mode}-{data}" for mode in ("cut", "fastcut") for data in ("horse2zebra", "cat2dog", "cityscapes")}
    port = {f"animegan2-{name}" for name in ("face-paint-512-v1", "face-paint-512-v2", "celeba-distill", "paprika")}
    tensorflow = {f"animegan2-tensorflow-{style}" for style in ("hayao", "shinkai", "paprika")}
    assert cut | port | tensorflow <= names
    assert all(known_weights()[name].sha256 is None for name in port), "their source says none"


def test_the_list_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{SHIPPED_PAIR}: {' -> '.join(SHIPPED_TURNS)} (U-GAT-IT, 2.7 MB, licence: MIT)")
    for name, entry in known_weights().items():
        assert f"\n{name}: " in f"\n{out}"
        assert entry.source in out
        assert entry.by_hand is None or entry.by_hand in out


def test_the_shipped_pair_is_one_of_them() -> None:
    assert fetched(SHIPPED_PAIR).path == shipped_weights("A2B")
    assert fetched(SHIPPED_PAIR, "B2A") == (shipped_weights("B2A"), True)


def test_what_a_browser_must_fetch_is_said() -> None:
    with pytest.raises(CheckpointError, match=r"selfie2anime-100 can't be fetched by a program: open https://drive"):
        fetched("selfie2anime-100")


def test_a_name_that_nobody_knows_is_told_from_a_path() -> None:
    with pytest.raises(CheckpointError, match="no weights of that name; see ugatit-fast weights"):
        fetched("selfie2animee")
    with pytest.raises(CheckpointError, match="models/selfie2anime: No such file or directory; check the path"):
        fetched("models/selfie2anime")
