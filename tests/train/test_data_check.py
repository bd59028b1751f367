from pathlib import Path

import pytest
from PIL import Image

from ugatit_fast.errors import InputError
from ugatit_fast.train.data_check import check_data


def texts(data: Path, img_size: int = 96) -> str:
    return "\n".join(finding.text for finding in check_data(data, img_size).findings)


def test_counts_what_can_be_read(data: Path) -> None:
    (data / "trainA" / "0.png").write_bytes(b"no picture")
    report = check_data(data, 96)
    assert report.counts == {"trainA": 2, "trainB": 3, "testA": 1, "testB": 1}
    assert not report.sound


def test_names_every_kind_of_trouble(data: Path) -> None:
    assert "smaller" not in texts(data)
    (data / "trainA" / "0.png").write_bytes(b"no picture")
    Image.new("RGB", (100, 100), "red").save(data / "trainA" / "liar.png", "JPEG")
    Image.new("RGB", (400, 100), "blue").save(data / "trainB" / "wide.png")
    Image.new("RGB", (50, 50), "green").save(data / "trainB" / "small.png")
    (data / "testA" / "copy.png").write_bytes((data / "trainB" / "1.png").read_bytes())
    found = texts(data)
    for expected in ("liar.png is JPEG", "wide.png (400 x 100)", "small.png (50 x 50)", f"copy.png is {data}"):
        assert expected in found
    assert "0.png is not an image" in found.splitlines()[-1]


def test_one_line_a_kind_with_a_count_and_three_examples(data: Path) -> None:
    for i in range(5):
        Image.new("RGB", (50, 50 + i), "green").save(data / "trainB" / f"small{i}.png")
        (data / "trainA" / f"broken{i}.png").write_bytes(b"no picture")
    report = check_data(data, 96)
    small = [finding for finding in report.findings if "smaller than the 96 pixels" in finding.text]
    assert [(finding.grave, finding.text.count(".png")) for finding in small] == [(False, 3)]
    assert "enlarges them: 5, such as " in small[0].text
    broken = report.findings[-1]
    assert broken.text.startswith("broken, which training skips; repair or remove them: 5, such as ")
    assert (broken.grave, broken.text.count(".png")) == (True, 3)


@pytest.mark.parametrize("name", ["trainA", "testB"])
def test_only_training_folders_are_indispensable(data: Path, name: str) -> None:
    for file in (data / name).iterdir():
        file.unlink()
    (data / name).rmdir()
    assert check_data(data, 96).sound == (name == "testB")
    assert f"{name} doesn't exist" in texts(data)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        check_data(tmp_path / "nowhere", 96)
