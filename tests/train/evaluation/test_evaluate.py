"""Protocols by numbers that can be worked out by hand, and the command from folders to lines and files."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.train.conftest import Run, rows_of
from tests.train.evaluation.test_inception import LEAST_SIDE, shake
from ugatit_fast.errors import BackendUnavailable, InputError
from ugatit_fast.train.evaluation import features, inception_file
from ugatit_fast.train.evaluation.evaluate import Evaluation, evaluate
from ugatit_fast.train.evaluation.inception import WIDTH, Inception
from ugatit_fast.train.evaluation.kid_fid import fid, kid_of_blocks, kid_of_subsets
from ugatit_fast.train.evaluation.protocols import EvaluateOptions


def saved(file: Path, rows: Any, **about: str) -> Path:
    """An .npz file of features; about: resize and network, if it is to say them."""
    np.savez(file, rows, **about)
    return file


def constant(file: Path, square: float, n: int = 20) -> Path:
    """Features whose products are all `square` times their number: every kernel is (square + 1)^3."""
    return saved(file, np.full((n, WIDTH), np.sqrt(square), np.float32))


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """Features of 20 translations and 30 real pictures."""
    return saved(tmp_path / "t.npz", rows_of(20)), saved(tmp_path / "r.npz", rows_of(30, seed=1, shift=0.2))


def found(translated: Path, real: Path, **options: Any) -> Evaluation:
    return evaluate(translated, real, EvaluateOptions(**options))


def test_fidelity_is_kid_of_subsets_and_fid(sides: tuple[Path, Path]) -> None:
    x, y = rows_of(20), rows_of(30, seed=1, shift=0.2)
    kid, frechet = found(*sides).results
    expected = kid_of_subsets(x, y, 20, 100, 2020)
    assert (kid.value, kid.spread) == pytest.approx((100 * expected.mean, 100 * (expected.spread or 0)))
    assert (frechet.value, frechet.spread) == (pytest.approx(fid(x, y)), None)
    fewer = found(*sides, subset_size=10, seed=3).results[0]
    assert fewer.value == pytest.approx(100 * kid_of_subsets(x, y, 10, 100, 3).mean)
    assert "100 subsets of 10, seed 3" in fewer.describe()


def test_a_line_says_how_its_number_was_measured(sides: tuple[Path, Path]) -> None:
    kid, frechet = (result.describe() for result in found(*sides).results)
    facts = ["KID x 100", "± ", "standard deviation of the subsets", "protocol fidelity", "20 translated, 30 real"]
    facts += ["100 subsets of 20, seed 2020", "resize unknown", "Inception unknown"]
    assert [fact for fact in facts if fact not in kid] == []
    assert frechet.startswith("FID ")
    assert "all pictures at once" in frechet


def test_all_pictures_of_both_sides_are_one_subset(sides: tuple[Path, Path]) -> None:
    kid = found(sides[0], sides[0]).results[0]
    assert kid.spread is None
    assert "1 subset of 20" in kid.describe()


def test_blocks10_by_hand(tmp_path: Path) -> None:
    """Constant features: within 1 and 8, across 1; every block says the same."""
    kid, frechet = found(constant(tmp_path / "t.npz", 0), constant(tmp_path / "r.npz", 1), protocol="blocks10").results
    assert kid.value == pytest.approx(100 * (1 + 8 - 2 * 1), rel=1e-5)
    assert kid.spread == pytest.approx(0, abs=1e-4)
    assert frechet.value == pytest.approx(WIDTH, rel=1e-5)  # a distance of 1 in every feature
    assert "2 blocks of up to 10, seed 2020" in kid.describe()
    assert "standard error over the blocks" in kid.describe()


def test_blocks10_takes_pictures_in_a_random_order(sides: tuple[Path, Path]) -> None:
    """Folders are sorted by name, often by content with it."""
    x, y = rows_of(20), rows_of(30, seed=1, shift=0.2)
    one, same, another = (found(*sides, protocol="blocks10", seed=seed).results[0].value for seed in (0, 0, 1))
    assert one == same != another
    assert one != pytest.approx(100 * kid_of_blocks(x, y, 10).mean)


def test_ugatit_mean_by_hand(tmp_path: Path) -> None:
    """(0.02 x 7 + 0.98 x 26) / 2: (1 + 8 - 2) to the real pictures, (1 + 27 - 2) to the source."""
    files = [constant(tmp_path / f"{square}.npz", square) for square in (0, 1, 2)]
    evaluation = found(files[0], files[1], source=files[2], protocol="ugatit-mean")
    mean, to_real, to_source = evaluation.results
    assert [round(r.value, 1) for r in (mean, to_real, to_source)] == [1281, 700, 2600]
    assert to_real.pictures == {"translated": 20, "real": 20}
    assert to_source.pictures == {"translated": 20, "source": 20}
    assert any("98 % of a mean KID is the distance to the source" in note for note in evaluation.notes)


def test_the_spread_of_a_mean_is_weighted_alike(sides: tuple[Path, Path], tmp_path: Path) -> None:
    source = saved(tmp_path / "s.npz", rows_of(40, seed=5))
    mean, to_real, to_source = found(*sides, source=source, protocol="ugatit-mean").results
    assert to_real.spread is not None
    assert to_source.spread is not None
    assert mean.spread == pytest.approx(0.01 * to_real.spread + 0.49 * to_source.spread)
    assert "; blocks of up to 10, seed 2020" in mean.describe()  # 3 to the real pictures, 4 to the source


def test_numbers_that_mislead_have_a_note(sides: tuple[Path, Path]) -> None:
    notes = found(*sides).notes
    assert any("FID grows as pictures get fewer" in note and "of 20" in note for note in notes)
    assert sum("an .npz file doesn't say" in note for note in notes) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subset_size": 21}, "subsets of 21 need as many pictures.* one has 20; take --subset-size 20"),
        ({"subset_size": 1}, "at least 2"),
        ({"subset_size": 5, "protocol": "blocks10"}, "for fidelity only"),
        ({"protocol": "ugatit-mean"}, "--source"),
        ({"source": Path("x")}, "no use for the source"),
        ({"protocol": "kid"}, "protocol must be one of fidelity, blocks10, ugatit-mean"),
        ({"seed": -1}, "seed"),
        ({"save_features": Path("x.npy")}, "saved as .npz"),
        ({"save_features": Path("nowhere/x.npz")}, "the folder does not exist"),
    ],
)
def test_senseless_options(sides: tuple[Path, Path], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        found(*sides, **options)


def test_too_few_for_the_blocks_of_the_other_side(tmp_path: Path) -> None:
    few, many = saved(tmp_path / "t.npz", rows_of(5)), saved(tmp_path / "r.npz", rows_of(30))
    with pytest.raises(InputError, match=r"30 pictures .* 3 blocks.* needs 2 .* which has 5; take 6 or more"):
        found(few, many, protocol="blocks10")
    with pytest.raises(InputError, match=r"o\.npz has 1 pictures"):
        found(saved(tmp_path / "o.npz", rows_of(1)), many)


def test_features_of_another_resize_or_network_are_refused(tmp_path: Path) -> None:
    one = saved(tmp_path / "a.npz", rows_of(3), resize="pil-bilinear", network="12345678")
    other = saved(tmp_path / "b.npz", rows_of(3), resize="pil-bilinear", network="87654321")
    with pytest.raises(InputError, match="resized by pil-bilinear, fidelity resizes by tf1-bilinear"):
        found(one, one)
    with pytest.raises(InputError, match="different networks, 12345678 and 87654321"):
        found(one, other, protocol="blocks10")
    assert found(one, one, protocol="blocks10").results[0].network == "12345678"


def test_the_gpu_that_is_not_there(weights: Path, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendUnavailable, match="--device cpu"):
        found(folders / "translated", folders / "real", inception=weights, device="cuda")


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    network = Inception()
    shake(network)
    file = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save(network.state_dict(), file)
    return file, inception_file.digest_of(file)


@pytest.fixture
def weights(random_weights: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Random weights of the Inception network that pass for the published ones, for pictures of a tenth the size."""
    file, digest = random_weights
    monkeypatch.setattr(inception_file, "SHA256", digest)
    monkeypatch.setattr(features, "SIDE_PIXELS", LEAST_SIDE)
    return file


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """translated, real and source: three small pictures of noise each, and in the first a broken one."""
    for seed, name in enumerate(("translated", "real", "source")):
        (tmp_path / name).mkdir()
        for i in range(3):
            pixels = np.random.default_rng((seed, i)).integers(0, 256, (24, 20 + i, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    (tmp_path / "translated" / "broken.png").write_bytes(b"no picture")
    return tmp_path


def test_from_folders_to_lines_and_files(folders: Path, weights: Path, run: Run) -> None:
    arguments = ["--inception", weights, "--save-features", folders / "f.npz", "--json", folders / "out.json"]
    code, out, err = run("evaluate", folders / "translated", folders / "real", *arguments)
    assert code == 0
    lines = out.splitlines()
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
    assert lines[0].startswith("KID x 100 ")
    assert f"3 translated, 3 real; 1 subset of 3, seed 2020; resize tf1-bilinear; Inception {digest}" in lines[0]
    assert lines[1].startswith("FID ")
    assert lines[2] == "skipped 1 translated pictures that can't be read"
    assert "skipped: " in err
    assert "broken.png" in err
    assert "note: FID grows" in err

    written = json.loads((folders / "out.json").read_text())
    assert [result["metric"] for result in written["results"]] == ["KID x 100", "FID"]
    assert written["results"][0]["sampling"]["size"] == 3
    assert written["skipped"] == {"translated": 1, "real": 0}

    again, from_file, _ = run("evaluate", folders / "f.npz", folders / "f.npz")
    assert again == 0
    assert from_file.splitlines() == lines[:2]


def test_ugatit_mean_from_folders(folders: Path, weights: Path, run: Run) -> None:
    sides = [folders / "translated", folders / "real", "--source", folders / "source"]
    code, out, err = run("evaluate", *sides, "--protocol", "ugatit-mean", "--inception", weights)
    assert code == 0
    assert [line.split(" x 100")[0] for line in out.splitlines()[:3]] == ["mean KID", "KID", "KID"]
    assert "3 translated, 3 real, 3 source; 1 block of up to 10" in out
    assert "resize pil-bilinear" in out
    assert "note: 98 %" in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["translated", "missing"], 1, "missing is no folder of pictures"),
        (["translated", "real"], 1, "--download"),
        (["translated", "real", "--inception", "translated/0.png"], 1, "isn't the published Inception network"),
        (["translated", "real", "--protocol", "mean"], 2, ""),
        (["translated"], 2, ""),
    ],
)
def test_bad_input_is_one_line(
    folders: Path, run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(folders)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folders / "cache"))
    got, out, err = run("evaluate", *arguments)
    assert (got, out) == (code, "")
    if code == 1:
        assert err.startswith("error: ")
        assert message in err
        assert err.count("\n") == 1


def test_no_picture_of_a_side_can_be_read(folders: Path, weights: Path) -> None:
    for file in (folders / "real").iterdir():
        file.write_bytes(b"no picture")
    lines: list[str] = []
    options = EvaluateOptions(inception=weights)
    with pytest.raises(InputError, match="real has 0 pictures that can be read"):
        evaluate(folders / "translated", folders / "real", options, say=lines.append)
    assert sum(line.startswith("skipped: ") for line in lines) == 4


def test_progress_is_told_by_side(folders: Path, weights: Path) -> None:
    told: list[tuple[str, int, int]] = []
    options = EvaluateOptions(inception=weights)
    evaluate(
        folders / "translated",
        folders / "real",
        options,
        say=lambda _: None,
        on_progress=lambda *step: told.append(step),
    )
    assert told == [("translated", 4, 4), ("real", 3, 3)]
