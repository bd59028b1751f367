"""Folders to batches: every picture once an epoch, whoever loads it, and broken files passed over."""

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.train.conftest import PICTURES, SIDE, tiny
from ugatit_fast.errors import InputError
from ugatit_fast.train.data import (
    Domain,
    Places,
    augmented,
    batches,
    image_files,
    leave_signals_alone,
    on_device,
    shuffled,
    training_files,
)
from ugatit_fast.train.settings import TrainSettings
from ugatit_fast.translate.sources import find_images


@given(count=st.integers(1, 30), epoch=st.integers(0, 5), seed=st.integers(0, 100))
def test_an_epoch_shows_every_picture_once(count: int, epoch: int, seed: int) -> None:
    assert sorted(shuffled(count, (seed, 0, 0, epoch))) == list(range(count))


@given(steps=st.integers(0, 20), done=st.integers(0, 20), count=st.sampled_from([1, 2, 3]), share=st.integers(1, 4))
def test_processes_and_resumed_runs_share_one_stream(steps: int, done: int, count: int, share: int) -> None:
    """All processes' places of a step are the joint batch; a resumed run's are the tail of the whole run's."""
    batch_size = count * share
    whole = list(Places(0, steps, batch_size))
    assert [place for batch in whole for place in batch] == list(range(steps * batch_size))
    shares = [list(Places(0, steps, batch_size, rank, count)) for rank in range(count)]
    assert [[place for part in parts for place in part] for parts in zip(*shares, strict=True)] == whole
    assert list(Places(min(done, steps), steps, batch_size)) == whole[done:]


@pytest.mark.parametrize("workers", [0, 2])
def test_loading_processes_change_nothing(settings: TrainSettings, workers: int) -> None:
    files = training_files(settings.data)
    a, b = (Domain(of_domain, SIDE, settings.seed, i) for i, of_domain in enumerate(files))
    loader = batches(tiny(workers=workers, batch_size=2), files, Places(1, 4, 2))
    for step, batch in enumerate(loader, start=1):
        for got, domain in ((batch.a, a), (batch.b, b)):
            expected = np.stack([domain.picture(2 * step + i)[0] for i in range(2)])
            np.testing.assert_array_equal(got.numpy(), expected)
    assert step == 3


def test_domains_are_unpaired_and_epochs_differ(settings: TrainSettings) -> None:
    domain = Domain(training_files(settings.data)[0], SIDE, 0, 0)
    first, again, next_epoch = domain.picture(0)[0], domain.picture(0)[0], domain.picture(PICTURES)[0]
    np.testing.assert_array_equal(first, again)
    assert (first != next_epoch).any()
    assert [shuffled(50, (0, 0, 0, 0))] != [shuffled(50, (0, 1, 0, 0))]


def test_augmentation_is_the_published_one() -> None:
    """Flip, resize to size + 30, crop: an image that is a ramp tells where the crop lies and whether it was flipped."""
    ramp = np.broadcast_to(np.linspace(0, 255, 126).astype(np.uint8)[None, :, None], (126, 126, 3))
    flips, lefts = 0, set()
    for seed in range(60):
        crop = augmented(np.ascontiguousarray(ramp), SIDE, np.random.default_rng(seed))
        assert crop.shape == (SIDE, SIDE, 3)
        flipped = crop[0, 0, 0] > crop[0, -1, 0]
        straight = ramp[:, ::-1] if flipped else ramp
        offsets = [left for left in range(31) if (straight[:SIDE, left : left + SIDE] == crop).all()]
        assert len(offsets) == 1
        flips += int(flipped)
        lefts.add(offsets[0])
    assert 15 < flips < 45
    assert {min(lefts), max(lefts)} <= set(range(31))
    assert len(lefts) > 15


def test_small_pictures_are_enlarged(tmp_path: Path) -> None:
    Image.new("RGB", (5, 9), (10, 20, 30)).save(tmp_path / "small.png")
    picture, _ = Domain([tmp_path / "small.png"], SIDE, 0, 0).picture(7)
    assert picture.shape == (SIDE, SIDE, 3)
    assert (picture == (10, 20, 30)).all()


def test_broken_files_are_skipped_with_their_reason_and_liars_read(data: Path) -> None:
    (data / "trainA" / "0.png").write_bytes(b"no picture")
    (data / "trainA" / "1.png").write_bytes((data / "trainA" / "2.png").read_bytes()[:200])
    Image.open(data / "trainA" / "2.png").save(data / "trainA" / "liar.png", "JPEG")
    domain = Domain(training_files(data)[0], SIDE, 0, 0)
    skipped = [reason for position in range(8) for reason in domain.picture(position)[1]]
    assert {name for name in ("0.png", "1.png", "2.png", "liar.png") if any(name in r for r in skipped)} == {
        "0.png",
        "1.png",
    }


@pytest.mark.parametrize("state", ["missing", "empty", "broken"])
def test_unusable_domains_are_named(data: Path, state: str) -> None:
    for file in image_files(data / "trainB"):
        if state == "broken":
            file.write_bytes(b"no picture")
        else:
            file.unlink()
    if state == "missing":
        (data / "trainB").rmdir()
    with pytest.raises(InputError, match="trainB"):
        training_files(data)


def test_hidden_files_and_other_kinds_are_no_pictures(data: Path) -> None:
    for name in (".hidden.png", "notes.txt", "Thumbs.db"):
        (data / "trainA" / name).write_bytes(b"")
    (data / "trainA" / "more").mkdir()
    (data / "trainA" / "more" / "DEEP.JPG").write_bytes(b"")
    (data / "trainA" / ".thumbnails").mkdir()
    (data / "trainA" / ".thumbnails" / "0.png").write_bytes(b"")
    (data / "trainA" / "10.png").write_bytes(b"")
    found = [file.name for file in image_files(data / "trainA")]
    assert found == ["0.png", "1.png", "2.png", "10.png", "DEEP.JPG"]
    assert found == [source.path.name for source in find_images([data / "trainA"])], "what translate takes"
    assert image_files(data / "nowhere") == []


def test_pixels_become_minus_one_to_one_channels_last() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8).repeat(2, 4, 4, 3)[..., :3].contiguous()
    tensor = on_device(images, torch.device("cpu"))
    assert tensor.shape == (2, 3, 4, 4)
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert set(tensor.unique().tolist()) == {-1.0, 1.0}


def test_loading_processes_leave_ctrl_c_to_the_one_that_trains() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        leave_signals_alone(0)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
