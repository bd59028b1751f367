"""MUNIT: the published network in any style, folded exactly; styles by seed, by numbers and out of pictures."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tests.architectures.published_unit import Sizes, random_state, style_of, translated
from tests.conftest import random_pictures
from tests.test_fold import UnroundedOperations
from tests.translate.fake_translator import FakeTranslator
from ugatit_fast.architectures import fold
from ugatit_fast.architectures.munit import MunitConfig, MunitGenerator
from ugatit_fast.assets import sample_photos
from ugatit_fast.backends.plain import PlainBackend
from ugatit_fast.backends.styles import style_seen
from ugatit_fast.backends.tuning import layers_of
from ugatit_fast.checkpoint import Checkpoint, load_generator, read_checkpoint
from ugatit_fast.checkpoint.convert import convert
from ugatit_fast.choices import BuiltKind, Direction, Form, Precision, drawn_style
from ugatit_fast.cli import main
from ugatit_fast.engine import EngineSpec, read_spec
from ugatit_fast.errors import CheckpointError, EngineError, ExportError, InputError
from ugatit_fast.export.build import build_engine
from ugatit_fast.export.calibration import calibration_pictures
from ugatit_fast.export.layer_choice import layer_choice
from ugatit_fast.export.onnx_graph import to_onnx
from ugatit_fast.export.triton_repository import export_triton_repo
from ugatit_fast.export.verify import verify
from ugatit_fast.kernels.image import unit_range
from ugatit_fast.media.images import load_image, save_image
from ugatit_fast.translate.clip_files import style_of as style_of_clip
from ugatit_fast.translator import Translator

SIZES = Sizes(style=5)
WIDE = Sizes(dim=8, style=8, mlp=16)


def saved(folder: Path, sizes: Sizes = SIZES) -> Path:
    path = folder / "gen_00250000.pt"
    torch.save({domain: random_state(sizes, seed, statistics=True) for seed, domain in enumerate("ab")}, path)
    return path


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = saved(tmp_path_factory.mktemp("munit"), WIDE)
    return build_engine(path, size=(64, 64), backend="onnxruntime").path


@pytest.mark.parametrize("direction", ["A2B", "B2A"])
@pytest.mark.parametrize("sizes", [SIZES, Sizes(dim=2, n_down=3, n_res=1, style=3)], ids=str)
def test_it_is_the_published_network_and_folding_is_exact(sizes: Sizes, direction: Direction, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(saved(tmp_path, sizes), direction)
    shape = {"dim": sizes.dim, "n_downsample": sizes.n_down, "n_res": sizes.n_res}
    assert checkpoint.config == MunitConfig(**shape, style_dim=sizes.style or 0, mlp_dim=sizes.mlp)
    a, b = random_state(sizes, 0), random_state(sizes, 1)
    source, target = (a, b) if direction == "A2B" else (b, a)
    image = torch.from_numpy(random_pictures(2, 32, 40))
    x = unit_range(image, torch.float64)
    style = torch.from_numpy(drawn_style(sizes.style or 0, 3)).double()
    expected = translated(source, target, sizes, x, style[None].expand(2, -1))
    generator = checkpoint.generator(torch.float64)
    assert isinstance(generator, MunitGenerator)

    assert (generator(x, style[None]) - expected).abs().max() < 1e-12
    assert (generator.enc_style(x) - style_of(target, x)).abs().max() < 1e-12
    operations = UnroundedOperations(torch.float64)
    operations.given = style
    found, _ = fold(generator).graph(operations, image)
    assert (found - expected).abs().max() < 1e-10


def levels_off(
    checkpoint: Checkpoint, form: Form, size: tuple[int, int] | None, image: NDArray[np.uint8] | None = None
) -> float:
    """The largest difference of what a form draws in a style, which is rounded, from the reference in float64.

    size: of the pictures, where it is fixed; image: of 32x40, random unless given.
    """
    image = random_pictures(2, 32, 40) if image is None else image
    style = drawn_style(checkpoint.config.style_length, 7)
    spec = EngineSpec.of(checkpoint, kind="onnxruntime", any_size=size is None, size=(32, 40))
    model = to_onnx(checkpoint.folded(), spec, form=form)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (drawn,) = session.run(["translated"], {"image": image, "style": style})
    x = unit_range(torch.from_numpy(image), torch.float64)
    exact = (checkpoint.generator(torch.float64).pictures(x, torch.from_numpy(style))[0] + 1) * 127.5
    return float((torch.from_numpy(drawn).permute(0, 3, 1, 2) - exact).abs().max())


@pytest.mark.parametrize("size", [None, (32, 40)], ids=["any size", "fixed"])
@pytest.mark.parametrize("form", ["rows", "convolutions", "channels last"])
def test_every_form_draws_the_same_in_a_style(form: Form, size: tuple[int, int] | None, tmp_path: Path) -> None:
    assert levels_off(read_checkpoint(saved(tmp_path)), form, size) < 0.52


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_engines_pass_their_gate(precision: Precision, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(saved(tmp_path, WIDE), "B2A")
    built = build_engine(checkpoint, size=(64, 64), precision=precision, backend="onnxruntime")
    spec = read_spec(built.path)
    assert spec.network is not None
    assert (spec.network.architecture, spec.direction, spec.style_length) == ("munit", "B2A", 8)
    assert verify(built.path, checkpoint).passes(precision)


def test_a_cuda_engine_means_the_same_and_carries_the_encoder(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(saved(tmp_path, WIDE))
    built = build_engine(checkpoint, tmp_path / "x.safetensors", size=(32, 32), precision="fp16", backend="cuda")
    image, style = random_pictures(1, 32, 32), drawn_style(8, 4)
    backend = PlainBackend(built.path, built.spec)
    assert not np.array_equal(backend.run(image, style)[0], backend.run(image)[0])
    assert_sees_the_style(built.path, checkpoint.generator(torch.float64))


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_an_engine_of_eight_bits_draws_in_styles(backend: BuiltKind, tmp_path: Path) -> None:
    """Also in others than it was calibrated in."""
    if backend == "openvino":
        pytest.importorskip("openvino")
    built = build_engine(saved(tmp_path, WIDE), size=(64, 64), backend=backend, precision="int8")
    assert built.spec.eight_bits is not None
    assert built.spec.eight_bits.calibration_photos == 2
    photos = np.stack(calibration_pictures(None, (64, 64)))
    seeds = [0, 40, 41]
    with Translator(built.path) as translator:
        drawn = [translator.run(photos, style=seed) for seed in seeds]
        for seed, picture in zip(seeds, drawn, strict=True):
            exact = reference(translator, photos, drawn_style(8, seed)).permute(0, 2, 3, 1).numpy()
            assert np.abs(picture - exact).mean() < np.abs(drawn[0] - drawn[1].astype(int)).mean() / 10


def test_eight_bits_are_judged_in_the_styles_that_the_reference_draws_in(tmp_path: Path) -> None:
    source = read_checkpoint(saved(tmp_path))
    spec = EngineSpec.of(source, kind="openvino", any_size=True, precision="int8", size=(32, 32))
    choice = layer_choice(source, spec, None)
    assert choice.measure(choice.eight.only([])).psnr_db > 60


# Styles -----------------------------------------------------------------------------------------------------------


def assert_sees_the_style(engine: Path, generator: object) -> None:
    assert isinstance(generator, MunitGenerator)
    picture = random_pictures(1, 40, 48)
    expected = generator.enc_style(unit_range(torch.from_numpy(picture), torch.float64))[0]
    assert (torch.from_numpy(style_seen(engine, picture[0])) - expected).abs().max() < 1e-5


def test_a_picture_s_style_is_seen_without_a_runtime(engine: Path) -> None:
    assert_sees_the_style(engine, load_generator(engine.parent / "gen_00250000.pt").double())


def reference(translator: Translator, picture: NDArray[np.uint8], style: NDArray[np.float32]) -> Tensor:
    generator = load_generator(translator.path.parent / "gen_00250000.pt")
    drawn, _ = generator.pictures(unit_range(torch.from_numpy(picture), torch.float32), torch.from_numpy(style))
    return (drawn + 1) * 127.5


def test_each_call_has_a_style_and_the_translator_one_of_its_own(engine: Path) -> None:
    picture, photo = random_pictures(1, 64, 64), sample_photos()[0]
    numbers = [0.5, -1, 2, 0, 0.25, -0.5, 1, 1.5]
    with Translator(engine, style=3) as translator:
        seen = style_seen(engine, load_image_at(photo, 64))
        for given, expected in (
            (None, drawn_style(8, 3)),
            (7, drawn_style(8, 7)),
            ("7", drawn_style(8, 7)),
            (numbers, np.array(numbers, np.float32)),
            (",".join(map(str, numbers)), np.array(numbers, np.float32)),
            (photo, seen),
            (load_image_at(photo, 64), seen),
        ):
            drawn = translator.run(picture, style=given)
            exact = reference(translator, picture, expected)
            assert (torch.from_numpy(drawn).permute(0, 3, 1, 2) - exact).abs().max() < 0.6
        for whole in (photo.read_bytes(), Image.open(photo)):  # decoded whole, where a file is decoded smaller
            given = translator.style_of(whole)
            assert given is not None
            assert np.abs(given - seen).max() < 0.05 * np.abs(seen).max()
    with Translator(engine) as plain:
        assert np.array_equal(plain(picture), plain.run(picture, style=0)), "seed 0 unless given"
        assert not np.array_equal(plain(picture), plain.run(picture, style=1))


def load_image_at(path: Path, side: int) -> NDArray[np.uint8]:
    from ugatit_fast.media.fitting import fit_image

    return fit_image(load_image(path, at_least=(side, side)), (side, side), "crop")


@pytest.mark.parametrize(
    ("style", "reason"),
    [
        ([1.0, 2.0], "has 8 numbers, got 2"),
        ("1,2,3", "has 8 numbers, got 3"),
        ([np.nan] * 8, "must be finite"),
        (-1, "from 0 to"),
        ("nowhere.jpg", "none of these and no file"),
        (object(), "got object"),
        (np.zeros((2, 8)), "got an array of 2x8"),
        (b"no picture", "picture"),
        (Path(__file__), "test_munit.py"),
    ],
)
def test_what_is_no_style_is_refused_in_one_line(engine: Path, style: object, reason: str) -> None:
    with Translator(engine) as translator, pytest.raises(InputError, match=reason) as refused:
        translator.run(random_pictures(1, 64, 64), style=style)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_the_style_unless_chosen_is_said(engine: Path) -> None:
    assert any("seed 0 unless --style" in note for note in read_checkpoint(engine.parent / "gen_00250000.pt").notes)


def test_who_chooses_convolutions_walks_its_layers(engine: Path) -> None:
    """As a cuda engine does before it starts, without computing anything."""
    folded = read_checkpoint(engine.parent / "gen_00250000.pt").folded().half_precision()
    assert len(layers_of(folded, 1, 64, 64)) == 1 + 4 * WIDE.n_res


def test_a_clip_of_another_style_begins_anew(engine: Path) -> None:
    """What a killed run is known by has the style in it; of engines of one style it is what it was."""
    with Translator(engine, style=3) as translator:
        assert style_of_clip(translator) == {"style": drawn_style(8, 3).tolist()}
    assert style_of_clip(FakeTranslator()) == {}


def test_a_triton_server_s_batches_have_no_place_for_a_style(engine: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="takes a style"):
        export_triton_repo(engine, tmp_path / "models")


def test_engines_of_one_style_take_none(light_engine: Path) -> None:
    with pytest.raises(InputError, match="draws in one style only"):
        Translator(light_engine, style=3)


def test_a_damaged_encoder(engine: Path, tmp_path: Path) -> None:
    model = onnx.load(engine)
    for entry in model.metadata_props:
        entry.value = "bm9uc2Vuc2U=" if entry.key == "style_encoder" else entry.value
    onnx.save(model, tmp_path / "x.onnx")
    with pytest.raises(EngineError, match="damaged style encoder"):
        style_seen(tmp_path / "x.onnx", random_pictures(1, 32, 32)[0])


def test_truncated_of_its_styles(tmp_path: Path) -> None:
    state = {d: {n: t for n, t in random_state(SIZES).items() if not n.startswith("mlp")} for d in "ab"}
    torch.save(state, tmp_path / "gen_00000001.pt")
    with pytest.raises(CheckpointError, match="no MLP that takes a style"):
        read_checkpoint(tmp_path / "gen_00000001.pt")


def test_converted_and_on_the_command_line(engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = engine.parent / "gen_00250000.pt"
    (written,) = convert(source, tmp_path / "munit.safetensors", direction="B2A")
    again, first = read_checkpoint(written.path), read_checkpoint(source, "B2A")
    assert again.config == first.config
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in first.tensors.items())
    assert main(["inspect", str(engine)]) == 0
    assert "style dim              8" in capsys.readouterr().out
    photo, picture = str(sample_photos()[0]), tmp_path / "reference.png"
    save_image(picture, random_pictures(1, 48, 64)[0])
    for i, style in enumerate(["3", "-1,0,0,0,0,0,0,1", str(picture)]):
        assert main(["translate", str(engine), photo, "-o", str(tmp_path / f"{i}.png"), "--style", style]) == 0
    drawn = {(tmp_path / f"{i}.png").read_bytes() for i in range(3)}
    assert len(drawn) == 3
    assert main(["translate", str(engine), photo, "-o", str(tmp_path / "x.png"), "--style", "1,2"]) == 1
    assert "has 8 numbers, got 2" in capsys.readouterr().err
