"""AnimeGANv2's TensorFlow checkpoints, imported and folded, against a naive statement of its network."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.architectures.test_cyclegan import ran
from tests.checkpoint.animegan2_reference import SCOPE, random_variables, training_checkpoint, translate
from tests.conftest import random_pictures
from tests.tensor_bundle.bundle_writer import Layout, write_bundle
from tests.test_fold import unrounded
from ugatit_fast.architectures import fold
from ugatit_fast.architectures.animegan2 import AnimeGan2Config
from ugatit_fast.checkpoint import read_checkpoint
from ugatit_fast.choices import Form, Hints
from ugatit_fast.cli import main
from ugatit_fast.errors import CheckpointError
from ugatit_fast.kernels.image import unit_range
from ugatit_fast.tensor_bundle.crc32c import crc32c

FAST = Layout(checksum=crc32c)
AS_SAVED = AnimeGan2Config(upsample="tensorflow", eps=1e-12, img_size=256)
DRAWN = Path(__file__).parents[1] / "data" / "tensorflow_2_21" / "animegan2" / "drawn.npy"
NOTHING = np.zeros(2, np.float32)


@pytest.fixture(scope="module")
def variables() -> dict[str, NDArray[np.float32]]:
    return random_variables()


@pytest.fixture(scope="module")
def prefix(variables: dict[str, NDArray[np.float32]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the repository ships it."""
    folder = tmp_path_factory.mktemp("checkpoint") / "generator_Hayao_weight"
    path = write_bundle(folder / "Hayao-64.ckpt", variables, FAST)
    (folder / "checkpoint").write_text('model_checkpoint_path: "Hayao-64.ckpt"\n')
    (folder / "Hayao-64.ckpt.meta").write_bytes(b"a graph")
    return path


def test_it_is_the_network_that_tensorflow_trained(prefix: Path, variables: dict[str, NDArray[np.float32]]) -> None:
    checkpoint, image = read_checkpoint(prefix), torch.from_numpy(random_pictures(1, 8, 16))
    generator, x = checkpoint.generator(torch.float64), unit_range(image, torch.float64)
    expected = torch.from_numpy(translate(variables, x.permute(0, 2, 3, 1).numpy())).permute(0, 3, 1, 2)

    assert checkpoint.config == AS_SAVED
    assert (generator(x) - expected).abs().max() < 1e-10
    assert (unrounded(fold(generator), image)[0] - expected).abs().max() < 1e-9


def test_it_draws_what_tensorflow_drew(prefix: Path) -> None:
    image = np.random.RandomState(1).randint(0, 256, (2, 16, 24, 3)).astype(np.uint8)
    drawn = (read_checkpoint(prefix).generator()(unit_range(torch.from_numpy(image), torch.float32)) + 1) * 127.5
    assert np.abs(drawn.permute(0, 2, 3, 1).numpy() - np.load(DRAWN)).max() < 0.01


@pytest.mark.parametrize("form", ["convolutions", "channels last"])
def test_the_epsilon_is_tensorflow_s_in_every_form(prefix: Path, form: Form) -> None:
    """A picture that is nearly grey shows it: its first variance is as small as PyTorch's epsilon."""
    grey = torch.from_numpy(random_pictures(1, 16, 24) // 128 + 127)
    x = unit_range(grey, torch.float64)
    exact = (read_checkpoint(prefix).generator(torch.float64)(x) + 1) * 127.5
    checkpoint = read_checkpoint(prefix)

    translated = ran(checkpoint.folded(), form, None, grey.numpy())

    assert (torch.from_numpy(translated).permute(0, 3, 1, 2) - exact).abs().max() < 0.55
    with torch.device("meta"):
        other = checkpoint.architecture.reference(AnimeGan2Config(upsample="tensorflow"))
    other.load_state_dict({name: tensor.double() for name, tensor in checkpoint.tensors.items()}, assign=True)
    assert ((other(x) + 1) * 127.5 - exact).abs().max() > 2


@pytest.mark.parametrize("suffix", ["", ".index", ".data-00000-of-00001", ".meta"])
def test_is_named_by_folder_prefix_or_any_file(prefix: Path, suffix: str) -> None:
    assert read_checkpoint(f"{prefix}{suffix}").sha256 == read_checkpoint(prefix.parent).sha256


def test_says_what_it_is(prefix: Path) -> None:
    checkpoint = read_checkpoint(prefix, verify=True)
    assert (checkpoint.format, checkpoint.direction, checkpoint.step) == ("TensorFlow checkpoint", "A2B", None)
    assert checkpoint.dropped == ()
    assert "doubled as TensorFlow 1 does" in checkpoint.notes
    assert checkpoint.size_bytes > 8_000_000
    assert checkpoint.product(".onnx").name == "Hayao-64.ckpt-A2B.onnx"
    asked = read_checkpoint(prefix, hints=Hints(upsample="half-pixel"))
    assert "doubled half-pixel, as asked for" in asked.notes
    assert asked.sha256 != checkpoint.sha256
    assert read_checkpoint(prefix, hints=Hints(upsample="tensorflow")).sha256 == checkpoint.sha256


def test_what_training_saves_has_the_generator_in_it(
    prefix: Path, variables: dict[str, NDArray[np.float32]], tmp_path: Path
) -> None:
    """Of several, the newest; and of a folder of generators, too."""
    run = tmp_path / "AnimeGANv2_Hayao_lsgan_300_300_1_2_10_1"
    for epoch in (9, 10):
        write_bundle(run / f"AnimeGANv2.model-{epoch}", training_checkpoint(variables), FAST)
    checkpoint = read_checkpoint(run)
    assert checkpoint.path.name == "AnimeGANv2.model-10.index"
    assert checkpoint.dropped == ("discriminator", "the optimiser's state")
    assert all(map(torch.equal, checkpoint.tensors.values(), read_checkpoint(prefix).tensors.values()))


def test_a_flipped_bit_is_found(variables: dict[str, NDArray[np.float32]], tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "Hayao-64.ckpt", variables, FAST)
    data = Path(f"{path}.data-00000-of-00001")
    content = bytearray(data.read_bytes())
    content[-2] ^= 1
    data.write_bytes(content)
    with pytest.raises(CheckpointError, match="CRC-32C"):
        read_checkpoint(path, verify=True)


Changes = dict[str, NDArray[Any] | None]
ALONE: Changes = {"": None}
"""Without any variable of the generator."""


@pytest.mark.parametrize(
    ("change", "hints", "message"),
    [
        ({f"{SCOPE}/C/r3/r3/w": None}, {}, f"{SCOPE} is not AnimeGANv2's generator as published: it lacks C/r3/r3/w"),
        ({f"{SCOPE}/A": None}, {}, "it looks like a part of an AnimeGANv2 generator"),
        ({f"{SCOPE}/F/Conv/weights": NOTHING}, {}, "it also has F/Conv/weights"),
        ({f"{SCOPE}/E/Conv/weights": np.zeros((3, 3, 64, 64), np.float32)}, {}, "has shape (64, 64, 3, 3); expected"),
        ({f"{SCOPE}/E/Conv/weights": np.zeros((3, 3, 128, 64), np.int32)}, {}, "is int32; expected floating point"),
        (ALONE | {"discriminator/conv_0/kernel": NOTHING}, {}, "a discriminator; the generator is in another"),
        (ALONE | {f"{SCOPE}/Conv/weights": NOTHING}, {}, "AnimeGANv2's light generator"),
        (ALONE | {f"{SCOPE}/b1/Conv/weights": NOTHING}, {}, "AnimeGAN's first generator"),
        (ALONE | {"generator/base/Conv/weights": NOTHING}, {}, "AnimeGANv3's generator"),
        (ALONE | {"generator_X/w": NOTHING}, {}, "its first tensors are generator_X/w"),
        ({}, {"architecture": "ugatit"}, "holds a generator of AnimeGANv2; leave --architecture ugatit out"),
        ({}, {"architecture": "cyclegan"}, "leave --architecture cyclegan out"),
        (dict.fromkeys(("g",)), {"architecture": "animegan2"}, "there are no variables in it"),
        ({}, {"norm": "batch-image"}, "about which norm batch-image decides nothing"),
    ],
)
def test_refused(
    variables: dict[str, NDArray[np.float32]], change: Changes, hints: dict[str, Any], message: str, tmp_path: Path
) -> None:
    left_out = tuple(name for name, value in change.items() if value is None)
    kept = {name: value for name, value in variables.items() if not name.startswith(left_out)}
    added = {name: value for name, value in change.items() if value is not None}
    path = write_bundle(tmp_path / "Hayao-64.ckpt", dict(sorted({**kept, **added}.items())), FAST)
    with pytest.raises(CheckpointError, match=re.escape(message)) as refused:
        read_checkpoint(path, hints=Hints(**hints))
    assert "\n" not in str(refused.value)


def test_choices_of_others_are_refused(prefix: Path) -> None:
    with pytest.raises(CheckpointError, match="no TensorFlow checkpoint of U-GAT-IT; smoothing"):
        read_checkpoint(prefix, smoothing=True)
    with pytest.raises(CheckpointError, match="leave --network out"):
        read_checkpoint(prefix, network="generator")


def test_on_the_command_line(prefix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, engine, converted = str(prefix.parent), str(tmp_path / "x.onnx"), str(tmp_path / "x.safetensors")
    assert main(["inspect", folder]) == 0
    assert "AnimeGANv2" in capsys.readouterr().out
    assert main(["convert", f"{prefix}.index", converted]) == 0
    assert read_checkpoint(converted).config == AS_SAVED
    assert main(["build-engine", folder, "-o", engine, "--backend", "onnxruntime", "--size", "32"]) == 0
    assert main(["verify", engine, str(prefix)]) == 0
    assert main(["verify", engine, converted]) == 1, "another file"
