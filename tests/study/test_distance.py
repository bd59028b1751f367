"""KID and FID of every method of a comparison, against one target."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.study.reports import CPU, UNTIMED
from tests.train.evaluation.test_inception import LEAST_SIDE, shake
from tests.translate.fake_translator import write_photos
from ugatit_fast import cli
from ugatit_fast.errors import InputError
from ugatit_fast.media.images import save_image
from ugatit_fast.study.compare import Target, compare
from ugatit_fast.study.opening import Named
from ugatit_fast.study.report import read_report
from ugatit_fast.train.evaluation import features, inception_file
from ugatit_fast.train.evaluation.evaluate import evaluate
from ugatit_fast.train.evaluation.inception import Inception
from ugatit_fast.train.evaluation.protocols import EvaluateOptions, Measure


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = Inception()
    shake(network)
    file = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save(network.state_dict(), file)
    return file


@pytest.fixture
def weights(random_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Random weights of the Inception network that pass for the published ones, for pictures of a tenth the size."""
    monkeypatch.setattr(inception_file, "SHA256", inception_file.digest_of(random_weights))
    monkeypatch.setattr(features, "SIDE_PIXELS", LEAST_SIDE)
    return random_weights


@pytest.fixture
def real(tmp_path: Path) -> Path:
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 256, (24, 24, 3), dtype=np.uint8)
        save_image(tmp_path / "real" / f"{i}.png", pixels)
    return tmp_path / "real"


def test_distances_are_those_of_evaluate_and_the_real_pictures_are_seen_once(
    tmp_path: Path, weights: Path, real: Path, light_engine: Path, full_engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = write_photos(tmp_path / "photos", "1.png", "2.png", "3.png")
    seen: list[int] = []
    looked = features.features_of

    def counted(files: list[Path], *rest: object) -> object:
        seen.append(len(files))
        return looked(files, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("ugatit_fast.train.evaluation.evaluate.features_of", counted)
    named = [Named("A", light_engine), Named("B", full_engine)]
    out = tmp_path / "report"
    found = compare(named, str(photos), out, UNTIMED, CPU, target=Target(real, Measure(inception=weights)))
    assert sorted(seen) == [3, 3, 4]
    for method in found.methods:
        alone = evaluate(
            out / "methods" / method.folder, real, EvaluateOptions(inception=weights), say=lambda _: None
        ).results
        assert [one.metric for one in method.distances] == ["KID x 100", "FID"]
        assert [one.value for one in method.distances] == pytest.approx([one.value for one in alone])
        assert method.distances[0].how.startswith("protocol fidelity; 3 translated, 4 real")
    assert read_report(out) == found
    page = (out / "index.html").read_text()
    assert f"<td>{found.methods[0].distances[1].value:.2f}</td>" in page
    assert "FID grows as pictures get fewer" in page
    (row, _) = csv.DictReader((out / "comparison.csv").open())
    assert float(row["FID"]) == found.methods[0].distances[1].value


def test_the_authors_mean_also_looks_at_the_photos(
    tmp_path: Path, weights: Path, real: Path, light_engine: Path, full_engine: Path
) -> None:
    photos = write_photos(tmp_path / "photos", "1.png", "2.png", "3.png")
    measure = Measure(protocol="ugatit-mean", inception=weights)
    named = [Named("A", light_engine), Named("B", full_engine)]
    found = compare(named, str(photos), tmp_path / "report", UNTIMED, CPU, target=Target(real, measure))
    assert found.methods[1].distances[0].metric == "mean KID x 100"


def test_a_target_that_cannot_be_measured_against_is_told_before_any_work(
    tmp_path: Path, real: Path, light_engine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = write_photos(tmp_path / "photos", "1.png", "2.png")
    out = tmp_path / "report"
    command = ["compare", f"A={light_engine}", f"B={light_engine}", "--photos", str(photos), "-o", str(out)]
    assert cli.main([*command, "--target", str(real)]) == 1
    assert "the Inception weights are needed" in capsys.readouterr().err
    assert cli.main([*command, "--target", str(tmp_path / "none")]) == 1
    assert "no folder of pictures" in capsys.readouterr().err
    assert not out.exists()


def test_too_few_pictures_are_the_failure_of_the_measure_alone(
    tmp_path: Path, weights: Path, real: Path, light_engine: Path
) -> None:
    photos = write_photos(tmp_path / "photos", "1.png")
    named = [Named("A", light_engine), Named("B", light_engine)]
    target = Target(real, Measure(inception=weights))
    found = compare(named, str(photos), tmp_path / "report", UNTIMED, CPU, target=target)
    assert [("at least 2" in str(method.failure), method.distances) for method in found.methods] == [(True, ())] * 2
    assert found.finished


def test_the_target_may_not_hold_the_report(tmp_path: Path, weights: Path, real: Path, light_engine: Path) -> None:
    photos = write_photos(tmp_path / "photos", "1.png")
    named = [Named("A", light_engine), Named("B", light_engine)]
    target = Target(real, Measure(inception=weights))
    with pytest.raises(InputError, match="lies in the input folder"):
        compare(named, str(photos), real / "report", UNTIMED, CPU, target=target)
