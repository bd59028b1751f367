"""The published command lines: every flag, every folder, every refusal."""

import re
from collections.abc import Callable
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from tests.checkpoint.tensorflow_reference import RandomVariables, TensorFlowModel
from tests.checkpoint.test_import_tensorflow import write
from tests.conftest import LIGHT, random_generator
from tests.media.pictures import photo
from tests.translate.fake_translator import BACK_SPEC, FakeTranslator
from ugatit_fast import Translator, cli
from ugatit_fast.bench.random_weights import write_random_checkpoint
from ugatit_fast.checkpoint import NETWORKS, read_checkpoint
from ugatit_fast.choices import Direction
from ugatit_fast.compat.flags import TENSORFLOW_ONLY, OfficialFlags, refusals, remarks
from ugatit_fast.compat.layout import find_checkpoint, read_direction, tensorflow_name
from ugatit_fast.compat.testing import Outcome, Translators, serves, write_stacks
from ugatit_fast.compat.training import settings_of
from ugatit_fast.engine import read_spec
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.images import load_image
from ugatit_fast.model import Generator, GeneratorConfig
from ugatit_fast.train.settings import TrainSettings

ROOT = Path(__file__).resolve().parents[1]
PYTORCH = (
    "--phase train --light False --dataset faces --iteration 1000000 --batch_size 1 --print_freq 1000 "
    "--save_freq 100000 --decay_flag True --lr 0.0001 --weight_decay 0.0001 --adv_weight 1 --cycle_weight 10 "
    "--identity_weight 10 --cam_weight 1000 --ch 64 --n_res 4 --n_dis 6 --img_size 256 --img_ch 3 --result_dir results "
    "--device cuda --benchmark_flag False --resume False"
)
TENSORFLOW = (
    "--phase train --light False --dataset faces --epoch 100 --iteration 10000 --batch_size 1 --print_freq 1000 "
    "--save_freq 1000 --decay_flag True --decay_epoch 50 --lr 0.0001 --GP_ld 10 --adv_weight 1 --cycle_weight 10 "
    "--identity_weight 10 --cam_weight 1000 --gan_type lsgan --smoothing True --ch 64 --n_res 4 --n_dis 6 --n_critic 1 "
    "--sn True --img_size 256 --img_ch 3 --augment_flag True --checkpoint_dir checkpoint --result_dir results "
    "--log_dir logs --sample_dir samples"
)
"""Every flag of each repository with its default there, as read from their main.py."""
SHALLOW = replace(LIGHT, n_res=1)
TINY = ("--light", "True", "--ch", "2", "--n_res", "1", "--img_size", "96", "--device", "cpu")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with dataset/faces in it."""
    for folder, names in {
        "testA": ["1.png", "2.jpg"],
        "testB": ["1.png"],
        "trainA": ["1.png"],
        "trainB": ["1.png"],
    }.items():
        (tmp_path / "dataset" / "faces" / folder).mkdir(parents=True)
        for i, name in enumerate(names):
            Image.fromarray(photo(120, 100, seed=len(folder) + i)).save(tmp_path / "dataset" / "faces" / folder / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[[str], tuple[int, str, str]]:
    """Run `compat`; exit code, stdout, stderr."""

    def compat(arguments: str) -> tuple[int, str, str]:
        code = cli.main(["compat", *arguments.split()])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return compat


Run = Callable[[str], tuple[int, str, str]]


def flags_of(arguments: str) -> OfficialFlags:
    """What the parser makes of a command."""
    _, bound, _ = cli.app.parse_args(["compat", *arguments.split()], exit_on_error=False)
    flags = bound.arguments["flags"]
    assert isinstance(flags, OfficialFlags)
    return flags


def write_model(here: Path, step: int, seed: int, config: GeneratorConfig = SHALLOW) -> Path:
    path = here / "results" / "faces" / "model" / f"faces_params_{step:07d}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_random_checkpoint(path, config, seed)
    return path


# Flags ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [PYTORCH, TENSORFLOW])
def test_every_flag_is_taken_in_its_own_spelling(command: str) -> None:
    flags = flags_of(command)
    given = dict(zip(command.split()[::2], command.split()[1::2], strict=True))
    for name, value in given.items():
        taken = getattr(flags, name.removeprefix("--"))
        assert str(taken) == value or float(taken) == float(value)


def test_there_are_no_flags_but_theirs() -> None:
    theirs = set(re.findall(r"--(\w+)", PYTORCH + TENSORFLOW))
    assert {field.name for field in fields(OfficialFlags)} == theirs
    assert set(TENSORFLOW_ONLY) == set(re.findall(r"--(\w+)", TENSORFLOW)) - set(re.findall(r"--(\w+)", PYTORCH))


@pytest.mark.parametrize(("word", "means"), [("True", "True"), ("true", "True"), ("FALSE", "False")])
def test_truth_in_any_case(word: str, means: str) -> None:
    assert flags_of(f"--dataset faces --light {word}").light == means


@pytest.mark.parametrize("wrong", ["--light t", "--light", "--light 1", "--phase web", "--device tpu", "--frob 1"])
def test_wrong_usage_is_2(run: Run, wrong: str) -> None:
    assert run(f"--dataset faces {wrong}")[0] == 2


def test_the_documented_table_is_the_parser() -> None:
    arguments = cli.app["compat"].assemble_argument_collection(parse_docstring=True)
    rows = [f"| `{argument.name}` | {' '.join(str(argument.parameter.help).split())} |"
            for argument in arguments if argument.name != "--*" and argument.parameter.help]  # fmt: skip
    table = "\n".join(rows)
    assert len(rows) == len(fields(OfficialFlags))
    assert table in (ROOT / "docs" / "compat.md").read_text(), f"docs/compat.md should have:\n{table}"


@pytest.mark.parametrize("command", [PYTORCH, TENSORFLOW])
def test_their_defaults_are_ours(command: str) -> None:
    settings = settings_of(flags_of(command.replace("--device cuda", "--device cpu")))
    assert not list(refusals(flags_of(command)))
    assert settings.data == Path("dataset/faces")
    for name in ("iterations", "batch_size", "lr", "weight_decay", "adv_weight", "cycle_weight", "identity_weight",
                 "cam_weight", "ch", "n_res", "img_size", "light", "decay", "norm", "cam"):  # fmt: skip
        assert getattr(settings, name) == getattr(TrainSettings(data=Path(), output=Path()), name)


def test_flags_become_settings() -> None:
    settings = settings_of(flags_of("--dataset faces --light True --iteration 50 --decay_flag False --print_freq 7 "
                                    "--save_freq 9 --result_dir out --ch 8 --lr 0.01"))  # fmt: skip
    assert (settings.light, settings.iterations, settings.decay) == (True, 50, False)
    assert (settings.log_every, settings.sample_every, settings.save_every) == (7, 7, 9)
    assert (settings.output, settings.ch, settings.lr) == (Path("out/faces"), 8, 0.01)
    assert settings_of(flags_of("--dataset faces --epoch 3 --iteration 50")).iterations == 150
    assert settings_of(flags_of("--dataset faces --epoch 3")).iterations == 30_000
    assert settings_of(flags_of("--dataset faces")).save_every == 100_000


@pytest.mark.parametrize(
    "wrong",
    ["--gan_type wgan-gp", "--GP_ld 5", "--n_critic 5", "--sn False", "--augment_flag False", "--img_ch 1",
     "--decay_epoch 10", "--epoch 10 --decay_epoch 50", "--n_dis 5 --epoch 3"],
)  # fmt: skip
def test_what_would_change_the_results_is_refused(run: Run, wrong: str) -> None:
    code, out, err = run(f"--dataset faces {wrong}")
    assert (code, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith(f"error: {wrong.split(' --epoch')[0].removeprefix('--epoch 10 ')}")
    assert "leave it out" in line


def test_what_has_no_effect_is_said() -> None:
    said = "\n".join(remarks(flags_of("--dataset faces --n_dis 5 --benchmark_flag True")))
    assert "--n_dis" in said
    assert "--benchmark_flag" in said
    said = "\n".join(remarks(flags_of(TENSORFLOW)))
    assert all(name in said for name in ("--smoothing", "--log_dir", "--sample_dir", "--checkpoint_dir", "recipe"))
    (said,) = remarks(flags_of("--phase test --dataset faces --lr 1 --resume True"))
    assert "--lr, --resume" in said
    assert not list(remarks(flags_of("--dataset faces --light True --lr 0.1")))


def test_without_a_data_set(run: Run) -> None:
    assert "--dataset NAME" in run("--phase test")[2]


def test_name_of_a_tensorflow_run() -> None:
    """Both names are from the repository's own issues."""
    selfie = "--dataset selfie2anime"
    assert tensorflow_name(flags_of(selfie)) == "UGATIT_selfie2anime_lsgan_4resblock_6dis_1_1_10_10_1000_sn_smoothing"
    assert tensorflow_name(flags_of(f"{selfie} --light true --smoothing false --cam_weight 500 --sn False")) == (
        "UGATIT_light_selfie2anime_lsgan_4resblock_6dis_1_1_10_10_500"
    )


# Test -------------------------------------------------------------------------------------------------------------


def published_cam(heatmap: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float64]:
    """`cam` of the published utils.py, restated in floats: 0 to 1, cut to 256 levels, resized, JET."""
    levels = np.floor(255 * (heatmap - heatmap.min()) / (heatmap.max() - heatmap.min()))
    for _ in range(2):  # rows, then columns
        length = len(levels)
        places = (np.arange(side) + 0.5) * length / side - 0.5
        levels = np.stack([np.interp(places, np.arange(length), line) for line in levels.T])
    share = np.floor(levels + 0.5) / 255
    knots = {
        "red": (3 / 8, 5 / 8, 7 / 8, 9 / 8),
        "green": (1 / 8, 3 / 8, 5 / 8, 7 / 8),
        "blue": (-1 / 8, 1 / 8, 3 / 8, 5 / 8),
    }
    return np.stack([255 * np.interp(share, at, (0, 1, 1, 0)) for at in knots.values()], axis=-1)


@torch.no_grad()
def published_tiles(picture: Path, side: int, there: Generator, back: Generator) -> list[npt.NDArray[np.float64]]:
    """`test` of the published UGATIT.py, restated: the seven tiles of a picture, 0 to 255, not yet rounded."""
    shown = Image.open(picture).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    real = torch.from_numpy(np.array(shown)).permute(2, 0, 1)[None] / 127.5 - 1
    fake, _, fake_map = there(real)
    cycle, _, cycle_map = back(fake)
    same, _, same_map = back(real)

    def denormed(image: torch.Tensor) -> npt.NDArray[np.float64]:
        values: npt.NDArray[np.float64] = (image[0] * 0.5 + 0.5).permute(1, 2, 0).double().numpy() * 255
        return values

    tiles = [denormed(real)]
    for image, heatmap in ((same, same_map), (fake, fake_map), (cycle, cycle_map)):
        tiles += [published_cam(heatmap[0, 0].numpy(), side), denormed(image)]
    return tiles


@pytest.mark.slow
@pytest.mark.parametrize("light", [True, False])
def test_pytorch_test(here: Path, run: Run, light: bool) -> None:
    side = 64
    write_model(here, 5, seed=5)
    newest = write_model(here, 10, seed=10, config=replace(LIGHT, n_res=1, light=light, img_size=side))
    command = f"--phase test --dataset faces --light {light} --img_size {side} --device cpu"
    code, out, err = run(command)
    assert (code, err.count(str(newest.relative_to(here)))) == (0, 1)
    written = here / "results" / "faces" / "test"
    assert sorted(path.name for path in written.iterdir()) == ["A2B_1.png", "A2B_2.png", "B2A_1.png"]
    assert out.startswith("3 pictures")
    a2b, b2a = (read_checkpoint(newest, direction).generator() for direction in get_args(Direction))
    for name, picture, there, back in (("A2B_2", "testA/2.jpg", a2b, b2a), ("B2A_1", "testB/1.png", b2a, a2b)):
        theirs = published_tiles(here / "dataset" / "faces" / picture, side, there, back)
        ours = np.split(load_image(written / f"{name}.png").astype(float), len(theirs))
        for i, (made, expected) in enumerate(zip(ours, theirs, strict=True)):
            apart = abs(made - expected)
            if i % 2 == 0:
                assert apart.max() < 1, f"picture {i}"
            else:  # one level of the map is four of a colour; the resize in whole numbers moves every tenth pixel by it
                assert apart.max() < 5, f"heat map {i}"
                assert (apart > 1).mean() < 0.15, f"heat map {i}"
    assert "building" in err
    assert "building" not in run(command)[2]


def test_engines_of_another_size_or_version_do_not_serve(light_engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = read_spec(light_engine).checkpoint_sha256
    assert serves(light_engine, digest, 32, heatmap=True)
    assert not serves(light_engine, digest, 32, heatmap=False)
    assert not serves(light_engine, digest, 64, heatmap=True)
    assert not serves(light_engine.with_name("none.onnx"), digest, 32, heatmap=True)
    assert not serves(Path(__file__), digest, 32, heatmap=True)
    monkeypatch.setattr("ugatit_fast.compat.testing.__version__", "0")
    assert not serves(light_engine, digest, 32, heatmap=True)


class Cells(HTMLParser):
    """The text and the pictures of a page's table."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.found.append(unquote(str(dict(attrs)["src"])))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.found.append(data)


@pytest.mark.slow
def test_tensorflow_test(here: Path, run: Run) -> None:
    model = TensorFlowModel(ch=4, img_size=16, light=True, discriminators=False, adam=False)
    Image.fromarray(photo(40, 30)).save(here / "dataset" / "faces" / "testB" / "ä #1.png")
    write(here / "checkpoint", model, RandomVariables(model))
    name = "UGATIT_light_faces_lsgan_4resblock_6dis_1_1_10_10_1000_sn_smoothing"
    (here / "checkpoint" / name.replace("faces", "selfie2anime")).rename(here / "checkpoint" / name)
    code, out, _ = run("--phase test --dataset faces --light True --img_size 32")
    assert (code, out.split()[0]) == (0, "4")
    written = here / "results" / name
    assert {path.name for path in written.glob("*.*")} == {"1.png", "2.jpg", "B2A_1.png", "ä #1.png", "index.html"}
    cells = Cells((written / "index.html").read_text(encoding="utf-8")).found
    assert cells[:4] == ["U-GAT-IT", "name", "input", "output"]
    assert all((written / link).is_file() for row in zip(cells[5::3], cells[6::3], strict=True) for link in row)
    assert cells[4::3] == ["1.png", "2.jpg", "1.png", "ä #1.png"]
    sides = re.findall(r'width="(\d+)" height="(\d+)"', (written / "index.html").read_text(encoding="utf-8"))
    assert sides == [("32", "32")] * 8
    with Translator(written / "engines" / "A2B.onnx") as translator:
        assert (
            translator.run(fit_image(load_image(here / "dataset/faces/testA/1.png"), (32, 32), "squash")[None])[
                0
            ].tolist()
            == load_image(written / "1.png").tolist()
        )


def test_smoothing_is_how_a_tensorflow_checkpoint_is_read(tmp_path: Path) -> None:
    model = TensorFlowModel(ch=4, img_size=16, light=True, discriminators=False, adam=False)
    prefix = write(tmp_path, model, RandomVariables(model))
    for word, smoothing in (("True", True), ("False", False)):
        flags = flags_of(f"--phase test --dataset faces --smoothing {word}")
        assert read_direction(flags, prefix.parent, "A2B").smoothing == smoothing


def test_a_broken_picture_does_not_stop_the_others(here: Path) -> None:
    broken, sound = (here / "dataset" / "faces" / "testA" / name for name in ("1.png", "2.jpg"))
    broken.write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    translators: Translators = {
        "A2B": FakeTranslator(heatmap=True),
        "B2A": FakeTranslator(BACK_SPEC, heatmap=True),
    }
    outcome = write_stacks(here, {"A2B": [broken, sound], "B2A": [sound]}, translators)
    assert (outcome.written, len(outcome.failures)) == (2, 1)
    assert "testA/1.png" in outcome.failures[0]
    assert {path.name for path in here.glob("*.png")} == {"A2B_2.png", "B2A_1.png"}


def test_a_failure_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome(Path("results"), written=2, failures=("1.png is broken",))
    monkeypatch.setattr("ugatit_fast.compat.testing.test_as_published", lambda *_: outcome)
    code, out, err = run("--phase test --dataset faces")
    assert (code, out) == (1, "2 pictures written into results, 1 failed\n")
    assert err.splitlines() == ["error: 1.png is broken"]


@pytest.mark.parametrize(
    ("flags", "says"),
    [("--light False", "--light True, not False"), ("--ch 64", "--ch 8, not 64"), ("--n_res 4", "--n_res 1, not 4"),
     ("--img_size 30", "multiples of 4"), ("--dataset other", "no pictures"), ("--result_dir other", "no checkpoint")],
)  # fmt: skip
def test_test_that_cannot_be(here: Path, run: Run, flags: str, says: str) -> None:
    write_model(here, 1, seed=1)
    code, out, err = run(f"--phase test {flags}" if "dataset" in flags else f"--phase test --dataset faces {flags}")
    assert (code, out) == (1, "")
    assert says in err.splitlines()[-1]


SMALL = replace(LIGHT, ch=2, n_res=1)
FULL = replace(SMALL, light=False, img_size=96)


def save_networks(path: Path, config: GeneratorConfig, *directions: Direction) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({NETWORKS[one]: random_generator(config, i).state_dict() for i, one in enumerate(directions)}, path)


@pytest.mark.parametrize("place", ["faces_params_latest.pt", "faces/faces_params_latest.pt", "faces/model/mine.pt"])
@pytest.mark.parametrize("only", ["A2B", "B2A"])
def test_half_a_pair_translates_what_it_can(here: Path, run: Run, place: str, only: Direction) -> None:
    save_networks(here / "results" / place, SMALL, only)
    code, out, err = run("--phase test --dataset faces --light True --img_size 16 --device cpu")
    assert code == 0, err
    pictures, other, missing = {"A2B": (2, "testB", "genB2A"), "B2A": (1, "testA", "genA2B")}[only]
    assert out.startswith(f"{pictures} pictures")
    assert f"has no {missing}" in err
    assert f"pictures in {other} aren't translated" in err
    written = here / "results" / "faces" / "test"
    assert sorted(p.name for p in written.iterdir()) == [f"{only}_{i}.png" for i in range(1, pictures + 1)]
    with Translator(here / "results" / "faces" / "engines" / f"{only}.onnx") as translator:
        shown = fit_image(load_image(here / "dataset" / "faces" / f"test{only[0]}" / "1.png"), (16, 16), "squash")
        np.testing.assert_array_equal(load_image(written / f"{only}_1.png"), translator.run(shown[None])[0])


def test_half_a_pair_without_its_pictures(here: Path, run: Run) -> None:
    save_networks(here / "results" / "faces_params_latest.pt", SMALL, "B2A")
    (here / "dataset" / "faces" / "testB" / "1.png").unlink()
    code, _, err = run("--phase test --dataset faces")
    assert code == 1
    assert "translates B2A only, and testB has no pictures; put some there, or take a checkpoint with genA2B" in err
    assert "--direction" not in err


def test_a_numbered_checkpoint_comes_before_the_latest(here: Path) -> None:
    numbered = write_model(here, 5, seed=1)
    save_networks(here / "results" / "faces_params_latest.pt", SMALL, "A2B")
    assert find_checkpoint(flags_of("--phase test --dataset faces")) == numbered.relative_to(here)


def test_a_full_generators_size_is_taken(here: Path, run: Run) -> None:
    save_networks(here / "results" / "faces_params_latest.pt", FULL, "A2B")
    code, _, err = run("--phase test --dataset faces --device cpu")
    assert code == 0, err
    assert load_image(here / "results" / "faces" / "test" / "A2B_1.png").shape == (96, 96, 3)
    code, _, err = run("--phase test --dataset faces --img_size 256 --device cpu")
    assert code == 1
    assert "needs --img_size 96, not 256; leave it out" in err


@pytest.mark.parametrize(("light", "says"), [("True", "False"), ("False", "True")])
def test_weights_in_the_other_kinds_folder(here: Path, run: Run, light: str, says: str) -> None:
    model = TensorFlowModel(ch=2, img_size=96, light=says == "True", discriminators=False, adam=False)
    write(here / "written", model, RandomVariables(model))
    name = tensorflow_name(flags_of(f"--dataset faces --light {light}"))
    (here / "checkpoint").mkdir()
    next((here / "written").iterdir()).rename(here / "checkpoint" / name)
    code, _, err = run(f"--phase test --dataset faces --light {light} --img_size 96 --device cpu")
    assert code == 0, err
    assert f"the folder is one of --light {light}, the weights in it are of --light {says}" in err


@pytest.mark.parametrize("given", ["{here}/dataset/faces", "{here}/dataset/faces/", "../dataset/faces"])
def test_results_never_go_into_a_data_set_that_is_named_by_its_path(here: Path, given: str) -> None:
    flags = flags_of(f"--dataset {given.format(here=here)}")
    settings = settings_of(flags)
    assert settings.data.resolve() == (here / "dataset" / "faces").resolve()
    assert settings.output == Path("results/faces")
    assert "UGATIT_faces_lsgan" in tensorflow_name(flags)
    assert any("--dataset is a path: results are those of faces, in results" in remark for remark in remarks(flags))
    assert settings_of(flags_of("--dataset a/faces")).output == Path("results/a/faces")


# Train ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_train_then_resume_then_test(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    train = " ".join(("--dataset faces --save_freq 1 --print_freq 2", *TINY))
    code, out, _ = run(f"{train} --iteration 1")
    run_folder = here / "results" / "faces"
    latest = here / "results" / "faces_params_latest.pt"
    first = torch.load(latest, weights_only=True)
    assert (code, out.strip()) == (0, "results/faces/model/faces_params_0000001.pt: step 1 of 1")
    models = sorted(path.name for path in (run_folder / "model").iterdir())
    assert models == ["faces_params_0000001.pt"]
    assert sorted(path.name for path in (run_folder / "img").iterdir()) == ["A2B_0000001.png", "B2A_0000001.png"]

    # What the published code does with it: torch.load, then load_state_dict of each of the six, strict.
    content = torch.load(run_folder / "model" / models[0], weights_only=True)
    assert set(content) == set(first) == {"genA2B", "genB2A", "disGA", "disGB", "disLA", "disLB"}
    assert all(torch.equal(tensor, first[name][key]) for name in content for key, tensor in content[name].items())
    assert read_checkpoint(run_folder / "model" / models[0]).config.ch == 2

    code, _, err = run(f"{train} --iteration 2")
    assert (code, "--resume True" in err) == (1, True)
    assert run(f"{train} --iteration 2 --resume True")[0] == 0
    assert sorted(path.name for path in (run_folder / "model").iterdir()) == [*models, "faces_params_0000002.pt"]

    # As the published code, in the middle of a run too.
    monkeypatch.setattr("ugatit_fast.train.loop.LATEST_EVERY", 3)
    saved: list[int] = []
    monkeypatch.setattr("ugatit_fast.train.loop.save_latest", lambda trainer, folder: saved.append(trainer.step))
    assert run(f"{train.replace('--save_freq 1', '--save_freq 9')} --iteration 4 --resume True")[0] == 0
    assert saved == [3, 4]

    code, out, _ = run(" ".join(("--phase test --dataset faces", *TINY)))
    assert (code, out.split()[0]) == (0, "3")


def test_a_run_of_the_published_code_is_not_resumed(here: Path, run: Run) -> None:
    write_model(here, 1, seed=1)
    code, _, err = run("--dataset faces --resume True")
    assert code == 1
    assert "optimisers" in err


def test_train_without_pictures(here: Path, run: Run) -> None:
    code, _, err = run(" ".join(("--dataset other", *TINY)))
    assert code == 1
    assert "dataset/other/trainA" in err.splitlines()[-1]
