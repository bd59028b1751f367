"""White-box cartoonization: equal to the published network, folded exactly, drawn alike by every form."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.architectures.published_whitebox import cartoonize, random_variables, shapes
from tests.architectures.test_cyclegan import ran
from tests.conftest import random_pictures
from tests.tensor_bundle.bundle_writer import Layout, write_bundle
from tests.test_fold import unrounded
from ugatit_fast.architectures import fold
from ugatit_fast.architectures.whitebox import Whitebox, WhiteboxConfig, WhiteboxGenerator
from ugatit_fast.assets import sample_photos
from ugatit_fast.backends.plain import PlainBackend
from ugatit_fast.checkpoint import Checkpoint, read_checkpoint
from ugatit_fast.choices import Form, Hints, Precision
from ugatit_fast.cli import main
from ugatit_fast.errors import CheckpointError, InputError
from ugatit_fast.export.build import build_engine
from ugatit_fast.export.verify import verify
from ugatit_fast.kernels.guided import guided_rows
from ugatit_fast.kernels.image import unit_range
from ugatit_fast.tensor_bundle.crc32c import crc32c
from ugatit_fast.translator import Translator

FAST = Layout(checksum=crc32c)
DRAWN = Path(__file__).parents[1] / "data" / "tensorflow_2_21" / "white-box"
Arrays = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def variables() -> Arrays:
    return dict(random_variables())


@pytest.fixture(scope="module")
def prefix(variables: Arrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the repository ships it."""
    folder = tmp_path_factory.mktemp("test_code") / "saved_models"
    path = write_bundle(folder / "model-33999", variables, FAST)
    (folder / "checkpoint").write_text('model_checkpoint_path: "model-33999"\n')
    return path


@pytest.fixture(scope="module")
def checkpoint(prefix: Path) -> Checkpoint:
    return read_checkpoint(prefix)


# The same network -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 24), (28, 20)])
def test_it_is_the_published_network_and_folding_is_exact(
    checkpoint: Checkpoint, variables: Arrays, height: int, width: int
) -> None:
    image = random_pictures(2, height, width)
    generator, x = checkpoint.generator(torch.float64), unit_range(torch.from_numpy(image), torch.float64)
    expected = torch.from_numpy(cartoonize(variables, image)).permute(0, 3, 1, 2) / 127.5 - 1

    assert 0.01 < (expected.abs() == 1).double().mean() < 0.5, "the picture is cut off somewhere"
    assert (generator(x) - expected).abs().max() < 1e-12
    assert (unrounded(fold(generator), torch.from_numpy(image))[0] - expected).abs().max() < 1e-10


def test_it_draws_what_tensorflow_drew_of_what_tensorflow_saved() -> None:
    saved = read_checkpoint(DRAWN, verify=True)
    image = np.random.RandomState(1).randint(0, 256, (2, 12, 16, 3)).astype(np.uint8)
    drawn = (saved.generator()(unit_range(torch.from_numpy(image), torch.float32)) + 1) * 127.5
    assert np.abs(drawn.permute(0, 2, 3, 1).numpy() - np.load(DRAWN / "drawn.npy")).max() < 1e-3


@pytest.mark.parametrize("size", [None, (32, 48)], ids=["any size", "fixed"])
@pytest.mark.parametrize("form", ["convolutions", "channels last"])
def test_every_form_draws_the_same(
    checkpoint: Checkpoint, variables: Arrays, form: Form, size: tuple[int, int] | None
) -> None:
    image = random_pictures(2, 32, 48)
    translated = ran(checkpoint.folded(), form, size, image)
    assert np.abs(translated - cartoonize(variables, image)).max() < 0.52


@pytest.mark.parametrize("form", ["convolutions", "channels last"])
def test_in_half_precision_the_filter_stays_in_single(checkpoint: Checkpoint, variables: Arrays, form: Form) -> None:
    """Of an even bright picture float16 couldn't tell the variance: E[x^2] and E[x]^2 are both nearly 1."""
    image = 250 + random_pictures(1, 32, 48) // 50
    translated = ran(checkpoint.folded().half_precision(), form, None, image)
    assert np.abs(translated - cartoonize(variables, image)).max() < 1.01


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_engines_pass_their_gate(checkpoint: Checkpoint, precision: Precision, tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    built = build_engine(checkpoint, path, size=(64, 64), precision=precision, backend="onnxruntime")
    assert verify(built.path, checkpoint).passes(precision)
    with Translator(built.path) as translator:
        assert translator(random_pictures(2, 36, 40)).shape == (2, 36, 40, 3)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_cuda_engine_means_the_same(
    checkpoint: Checkpoint, variables: Arrays, precision: Precision, tmp_path: Path
) -> None:
    path = tmp_path / "x.safetensors"
    built = build_engine(checkpoint, path, size=(32, 32), precision=precision, backend="cuda")
    image = random_pictures(2, 32, 32)
    translated, _ = PlainBackend(built.path, built.spec).run(image)
    assert np.abs(translated - cartoonize(variables, image)).max() < (0.51 if precision == "fp32" else 1.5)


def test_eight_bits_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no form in eight bits"):
        build_engine(checkpoint, tmp_path / "x.onnx", precision="int8", backend="onnxruntime")


def test_the_filter_wants_the_picture_of_its_rows() -> None:
    with pytest.raises(ValueError, match="image must be"):
        guided_rows(torch.zeros(1, 21, 14, 8), None, 7, torch.zeros(1, 8, 12, 3, dtype=torch.uint8))


# What is said of it -----------------------------------------------------------------------------------------------


def test_says_what_it_is(prefix: Path, checkpoint: Checkpoint) -> None:
    assert checkpoint.config == WhiteboxConfig(channel=4, num_blocks=2)
    assert (checkpoint.format, checkpoint.step) == ("TensorFlow checkpoint", 33999)
    assert {read_checkpoint(f"{prefix}{suffix}").sha256 for suffix in ("", ".index")} == {checkpoint.sha256}
    assert read_checkpoint(prefix.parent, hints=Hints(architecture="whitebox")).sha256 == checkpoint.sha256


def test_the_published_variables_are_its_tensors() -> None:
    """All 36 of model-33999."""
    saved = Whitebox.tensorflow
    assert saved is not None
    wanted = {name.removeprefix(f"{saved.scope}/"): shape for name, shape in shapes().items()}
    names = saved.variables(wanted)
    assert sorted(names.values()) == sorted(wanted)
    assert len(wanted) == 36
    tensors = WhiteboxGenerator(WhiteboxConfig()).state_dict()
    assert {name: tensor.shape[0] for name, tensor in tensors.items()} == {
        name: wanted[theirs][-1] for name, theirs in names.items()
    }


def test_a_port_in_pytorch_is_drawn_as_tensorflow_does(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "state_dict.pth"
    torch.save({f"generator.{name}": tensor for name, tensor in checkpoint.tensors.items()}, path)
    port = read_checkpoint(path)
    assert port.config == checkpoint.config
    assert "as the TensorFlow code draws" in " ".join(port.notes)
    assert all(torch.equal(tensor, port.tensors[name]) for name, tensor in checkpoint.tensors.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generator/Conv_7/biases": None}, "it lacks Conv_7/biases"),
        ({"generator/Conv_9/weights": None}, "it lacks Conv_9/weights"),
        ({"generator/block_1/conv2/biases": None}, "it lacks block_1/conv2/biases"),
        ({"generator/block_": None}, "a part of a generator of white-box cartoonization"),
        ({"generator/Conv_10/weights": np.zeros(2, np.float32)}, "it also has Conv_10/weights"),
        ({"generator/Conv_4/weights": np.zeros((3, 3, 8, 4), np.float32)}, "has shape (4, 8, 3, 3); expected (16, 8"),
        ({"generator/Conv/weights": np.zeros((7, 7, 1, 4), np.float32)}, "takes 1 channels and gives 3"),
        ({"": None, "disc_gray/conv0_1/w": np.zeros(2, np.float32)}, "a discriminator; the generator is in another"),
    ],
)
def test_refused(variables: Arrays, change: dict[str, NDArray[Any] | None], message: str, tmp_path: Path) -> None:
    left_out = tuple(name for name, value in change.items() if value is None)
    kept = {name: value for name, value in variables.items() if not name.startswith(left_out)}
    added = {name: value for name, value in change.items() if value is not None}
    path = write_bundle(tmp_path / "model-33999", dict(sorted({**kept, **added}.items())), FAST)
    with pytest.raises(CheckpointError, match=re.escape(message)) as refused:
        read_checkpoint(path)
    assert "\n" not in str(refused.value)


def test_on_the_command_line(prefix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, engine, converted = str(prefix.parent), str(tmp_path / "x.onnx"), str(tmp_path / "x.safetensors")
    assert main(["inspect", folder]) == 0
    assert "White-box Cartoonization" in capsys.readouterr().out
    assert main(["convert", f"{prefix}.index", converted]) == 0
    assert read_checkpoint(converted).config == WhiteboxConfig(channel=4, num_blocks=2)
    assert main(["build-engine", folder, "-o", engine, "--backend", "onnxruntime", "--size", "32"]) == 0
    assert main(["verify", engine, str(prefix)]) == 0
    photo = str(sample_photos()[0])
    assert main(["translate", engine, photo, "-o", str(tmp_path / "out"), "--size", "40x64"]) == 0
