"""UNIT: recognised, equal to the published network in either direction, folded exactly, refused in words."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.architectures.published_unit import Sizes, random_state, translated
from tests.architectures.test_cyclegan import ran
from tests.conftest import random_pictures
from tests.test_fold import unrounded
from ugatit_fast.architectures import fold
from ugatit_fast.architectures.unit import LayerNorm, UnitConfig, aligned_phases, edge_kernels
from ugatit_fast.backends.plain import PlainBackend
from ugatit_fast.checkpoint import facts_of, load_generator, read_checkpoint
from ugatit_fast.checkpoint.convert import convert
from ugatit_fast.choices import Direction, Form, Precision
from ugatit_fast.cli import main
from ugatit_fast.engine import read_spec
from ugatit_fast.errors import CheckpointError, EngineError, InputError
from ugatit_fast.export.build import build_engine
from ugatit_fast.export.ready import ready_engine
from ugatit_fast.export.verify import verify
from ugatit_fast.graph import add_edges, woven
from ugatit_fast.kernels.adalin import adalin
from ugatit_fast.kernels.image import unit_range
from ugatit_fast.translator import Translator

SIZES = [Sizes(), Sizes(dim=6, n_res=1), Sizes(dim=2, n_down=3, n_res=1)]
EXACT = 1e-10
GEN = {"dim": 64, "activ": "relu", "n_downsample": 2, "pad_type": "reflect"}


def saved(folder: Path, sizes: Sizes = SIZES[0], **options: bool) -> Path:
    """As a run saves it, below its folder."""
    path = folder / "checkpoints" / "gen_00012000.pt"
    path.parent.mkdir(exist_ok=True)
    torch.save({domain: random_state(sizes, seed, **options) for seed, domain in enumerate("ab")}, path)
    return path


def configured(folder: Path, **options: str) -> None:
    """The configuration that a run keeps; the discriminator's activation is none of the generator's."""
    gen = "".join(f"  {key}: {value}   # a comment\n" for key, value in (GEN | options).items())
    text = f"# logger\nimage_save_iter: 10000\n\ngen:\n{gen}\ndis:\n  activ: lrelu\n  pad_type: zero\n"
    (folder / "config.yaml").write_text(text)


def pictures(n_down: int = 2, seed: int = 0) -> Tensor:
    side = max(16, 4 << n_down)
    return torch.from_numpy(random_pictures(2, side, side + 8, seed))


# The rewrites -----------------------------------------------------------------------------------------------------


def double(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("height", "width"), [(2, 2), (2, 5), (3, 4), (9, 7)])
def test_a_5x5_convolution_of_a_doubled_picture_is_four_of_3x3_and_its_edges(height: int, width: int) -> None:
    x, weight = double(2, 3, height, width), double(4, 3, 5, 5, seed=1)
    doubled = F.interpolate(x, scale_factor=2, mode="nearest")
    image = woven(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), aligned_phases(weight)))
    assert (image - F.conv2d(F.pad(doubled, (2, 2, 2, 2), mode="replicate"), weight)).abs().max() < EXACT

    edges = edge_kernels(weight)
    add_edges(image, x, type("Edges", (), edges)())

    assert (image - F.conv2d(F.pad(doubled, (2, 2, 2, 2), mode="reflect"), weight)).abs().max() < EXACT


@pytest.mark.parametrize("spread", [1.0, 1e-4, 0.0])
def test_layer_norm_is_the_kernels_with_the_epsilon_outside(spread: float) -> None:
    """Where the deviation is as small as the epsilon, inside and outside the root are far apart."""
    x, norm = double(2, 6, 5, 4) * spread + 3, LayerNorm(6).double().requires_grad_(False)
    norm.gamma.copy_(double(6, seed=1)), norm.beta.copy_(double(6, seed=2))
    gamma, beta, rho, bias = norm.gamma[None], norm.beta[None], torch.zeros(6).double(), double(6, seed=3) * spread

    folded = adalin(x, gamma, beta, rho, bias, unbiased=True, eps_outside=True)

    assert (folded - norm(x + bias[:, None, None])).abs().max() < 1e-8


# Recognised, and the same network ---------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["A2B", "B2A"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_it_is_the_published_network_and_folding_is_exact(sizes: Sizes, direction: Direction, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(saved(tmp_path, sizes), direction)
    assert checkpoint.config == UnitConfig(dim=sizes.dim, n_downsample=sizes.n_down, n_res=sizes.n_res)
    assert (checkpoint.direction, checkpoint.directions, checkpoint.step) == (direction, ("A2B", "B2A"), 12000)
    a, b = random_state(sizes, 0), random_state(sizes, 1)
    source, target = (a, b) if direction == "A2B" else (b, a)
    image = pictures(sizes.n_down)
    x = unit_range(image, torch.float64)
    expected = translated(source, target, sizes, x)
    generator = checkpoint.generator(torch.float64)

    assert (generator(x) - expected).abs().max() < 1e-12
    found, heatmap = unrounded(fold(generator), image)
    assert heatmap is None
    assert (found - expected).abs().max() < EXACT


def test_pictures_of_a_batch_are_translated_apart(tmp_path: Path) -> None:
    """Layer norm over each picture, not over the batch."""
    generator = read_checkpoint(saved(tmp_path)).generator(torch.float64)
    both = unit_range(pictures(), torch.float64)
    assert (generator(both) - torch.cat([generator(one[None]) for one in both])).abs().max() < 1e-12


def test_what_is_said_of_it(tmp_path: Path) -> None:
    path = saved(tmp_path, statistics=True)
    said = read_checkpoint(path).notes
    assert any("running statistics" in note for note in said)
    assert any("contrast" in note for note in said)
    assert any("nothing says its borders" in note for note in said)
    configured(tmp_path)
    checkpoint = read_checkpoint(path)
    assert any("says: activ relu, pad_type reflect" in note for note in checkpoint.notes)
    assert facts_of(checkpoint)["architecture"] == "UNIT"


def test_half_a_file_in_another_record_is_found(tmp_path: Path) -> None:
    state = {domain: random_state(SIZES[0], seed) for seed, domain in enumerate("ab")}
    torch.save({"iteration": 3, "gen": state}, tmp_path / "x.pt")
    assert read_checkpoint(tmp_path / "x.pt").config == UnitConfig(dim=4, n_res=2)


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod."])
def test_names_that_wrappers_put_before_a_domains(wrapper: str, tmp_path: Path) -> None:
    states = {d: random_state(SIZES[0], seed) for seed, d in enumerate("ab")}
    torch.save({d: {wrapper + n: t for n, t in state.items()} for d, state in states.items()}, tmp_path / "x.pt")
    found = read_checkpoint(tmp_path / "x.pt", "B2A").tensors
    assert torch.equal(found["enc.model.0.conv.weight"], states["b"]["enc.model.0.conv.weight"])
    assert torch.equal(found["dec.model.2.norm.gamma"], states["a"]["dec.model.2.norm.gamma"])


# Refused ----------------------------------------------------------------------------------------------------------


def optimiser() -> dict[str, object]:
    return {"gen": {"state": {0: {"step": 1, "exp_avg": torch.zeros(3)}}, "param_groups": []}}


def discriminators() -> dict[str, object]:
    return {domain: {"cnns.0.0.conv.weight": torch.zeros(4, 3, 4, 4)} for domain in "ab"}


def two(**changed: dict[str, Tensor]) -> dict[str, object]:
    return {domain: random_state(SIZES[0], seed) | changed.get(domain, {}) for seed, domain in enumerate("ab")}


REFUSED = {
    "the discriminators": (discriminators, "dis_"),
    "the optimisers": (optimiser, "optimizer"),
    "one domain": (lambda: random_state(SIZES[0]), "takes tensors of both"),
    "one domain by name": (lambda: {"a": random_state(SIZES[0])}, "not both domains"),
    "prelu": (lambda: two(a={"enc.model.0.activation.weight": torch.ones(1)}), "prelu"),
    "one halving": (lambda: {domain: random_state(Sizes(n_down=1)) for domain in "ab"}, "1 halvings"),
    "greyscale": (lambda: two(a={"enc.model.0.conv.weight": torch.zeros(4, 1, 7, 7)}), "takes 1 channels"),
    "two sizes": (lambda: {"a": random_state(Sizes(dim=8)), "b": random_state(SIZES[0])}, "has shape"),
    "NaN": (lambda: two(b={"dec.model.2.norm.gamma": torch.full((8,), torch.nan)}), "NaN"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    content, reason = REFUSED[kind]
    torch.save(content(), tmp_path / "gen_00000001.pt")
    with pytest.raises(CheckpointError, match=reason) as refused:
        read_checkpoint(tmp_path / "gen_00000001.pt")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("option", "value"), [("pad_type", "zero"), ("activ", "lrelu")])
def test_what_the_run_says_and_no_engine_computes(option: str, value: str, tmp_path: Path) -> None:
    configured(tmp_path, **{option: value})
    with pytest.raises(CheckpointError, match=f"{option}: {value}, as .*config.yaml says"):
        read_checkpoint(saved(tmp_path))


# Engines ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [None, (32, 40)], ids=["any size", "fixed"])
@pytest.mark.parametrize("form", ["rows", "convolutions", "channels last"])
@pytest.mark.parametrize("sizes", SIZES[1:], ids=str)
def test_every_form_draws_the_same(sizes: Sizes, form: Form, size: tuple[int, int] | None, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(saved(tmp_path, sizes))
    image = pictures(3)
    exact = (checkpoint.generator(torch.float64)(unit_range(image, torch.float64)) + 1) * 127.5

    drawn = ran(checkpoint.folded(), form, size, image.numpy())

    assert (torch.from_numpy(drawn).permute(0, 3, 1, 2) - exact).abs().max() < 0.52


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_engines_pass_their_gate(precision: Precision, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(saved(tmp_path, Sizes(dim=8)), "B2A")
    built = build_engine(checkpoint, size=(64, 64), precision=precision, backend="onnxruntime")
    spec = read_spec(built.path)
    assert spec.network is not None
    assert (spec.network.architecture, spec.direction, spec.any_size) == ("unit", "B2A", True)
    assert verify(built.path, checkpoint).passes(precision)
    with Translator(built.path) as translator:
        assert translator(random_pictures(2, 36, 40)).shape == (2, 36, 40, 3)
        with pytest.raises(InputError, match="multiples of 4, at least 8"):
            translator(random_pictures(1, 34, 40))


def test_a_cuda_engine_means_the_same(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(saved(tmp_path, Sizes(dim=8)))
    built = build_engine(checkpoint, tmp_path / "x.safetensors", size=(32, 32), precision="fp32", backend="cuda")
    image = random_pictures(2, 32, 32)
    drawn, _ = PlainBackend(built.path, built.spec).run(image)
    exact = (checkpoint.generator()(unit_range(torch.from_numpy(image), torch.float32)) + 1) * 127.5
    assert np.abs(drawn.transpose(0, 3, 1, 2) - exact.numpy()).max() < 0.51


def test_what_asks_for_heat_maps_where_there_are_any_gets_an_engine_without(tmp_path: Path) -> None:
    """As `serve` does."""
    engine = ready_engine(saved(tmp_path, Sizes(dim=8)), device="cpu", size=(32, 32), heatmap=True)
    assert not read_spec(engine).heatmap
    with pytest.raises(EngineError, match="a unit generator, which has no attention heat map; leave it out"):
        Translator(engine, heatmap=True)


def test_converted_and_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = saved(tmp_path, Sizes(dim=8))
    written = convert(source, tmp_path / "unit.safetensors", direction="both")
    assert [one.direction for one in written] == ["A2B", "B2A"]
    x = unit_range(pictures(), torch.float32)
    assert torch.equal(load_generator(written[1].path)(x), read_checkpoint(source, "B2A").generator()(x))
    engine = str(tmp_path / "x.onnx")
    assert main(["build-engine", str(written[0].path), "-o", engine, "--backend", "onnxruntime", "--size", "64"]) == 0
    assert main(["inspect", engine]) == 0
    assert "unit" in capsys.readouterr().out
