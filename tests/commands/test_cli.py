import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import LIGHT, random_generator, random_pictures
from tests.translate.face_models import Sure, write_yunet
from ugatit_fast import __version__, cli
from ugatit_fast.bench.random_weights import write_random_checkpoint
from ugatit_fast.media.images import decode_image, encode_image, load_image, save_image
from ugatit_fast.model import GeneratorConfig

HEAVY = {"torch", "onnx", "onnxruntime", "triton", "numpy", "PIL"}


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    code = cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def failed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line that a known failure prints."""
    code, out, err = run(capsys, *arguments)
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 1
    assert len(lines) == 1
    assert not out
    return lines[0]


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_has_help(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    code, out, _ = run(capsys, verb, "--help")
    assert code == 0
    assert len(out) > 100


def test_help_lists_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(verb in out for verb in cli.VERBS)


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["translate", "--help"], ["build-engine", "--help"]])
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys; from ugatit_fast.cli import main; code = main(sys.argv[1:]);"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    result = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.strip()) == (0, "[]")
    if arguments == ["--version"]:
        assert result.stdout.strip() == __version__


@pytest.mark.parametrize(
    "arguments",
    [["frobnicate"], ["build-engine"], ["build-engine", "x.pt", "--backend", "tpu"], ["translate", "e.onnx", "--frob"],
     ["build-engine", "x.pt", "--size", "big"], ["build-engine", "x.pt", "--size", "0x8"]],
)  # fmt: skip
def test_wrong_usage_is_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    code, _, _ = run(capsys, *arguments)
    assert code == 2


def test_from_checkpoint_to_pictures(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    checkpoint = tmp_path / "faces.pt"
    write_random_checkpoint(checkpoint, GeneratorConfig(ch=8, n_res=1, light=True), seed=3)
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(3):
        save_image(photos / f"photo {i}.png", random_pictures(1, 50 + i, 40, seed=i)[0])

    code, out, err = run(capsys, "build-engine", checkpoint, "--size", "32x48", "--heatmap")
    engine = tmp_path / "faces-A2B.onnx"
    assert code == 0
    assert str(engine) in out
    assert "max |d|" in out
    assert "32x48" in err

    code, out, err = run(capsys, "translate", engine, photos, "-o", tmp_path / "out", "--heatmap", "--fit", "pad")
    assert code == 0
    assert "3 translated" in out
    assert "Speed: " in err
    assert (tmp_path / "out" / "index.html").is_file()
    assert load_image(tmp_path / "out" / "photo 1.png").shape[0] == 32

    code, out, _ = run(capsys, "verify", engine, checkpoint)
    assert (code, "passes the fp32 gate" in out) == (0, True)

    code, out, _ = run(capsys, "inspect", engine)
    assert code == 0
    assert "onnxruntime" in out
    code, out, _ = run(capsys, "inspect", checkpoint)
    assert code == 0
    assert "genB2A" in out


def test_inspect_says_nothing_about_what_there_is_nothing_to_say(
    capsys: pytest.CaptureFixture[str], light_engine: Path, tmp_path: Path
) -> None:
    generator = tmp_path / "one.pt"
    torch.save({"genA2B": random_generator(LIGHT).state_dict()}, generator)
    for file, said in ((light_engine, "batch sizes any"), (generator, "light yes")):
        code, out, _ = run(capsys, "inspect", file)
        lines = [" ".join(line.split()) for line in out.splitlines()]
        assert code == 0
        assert said in lines
        assert [line for line in out.splitlines() if not line[22:].strip()] == []
        assert not {"()", "None", "True", "False", "nothing", "not said"} & {
            line[23:].strip() for line in out.splitlines()
        }


def test_layers_that_cannot_be_looked_into_are_said_before_anything_is_compared(
    capsys: pytest.CaptureFixture[str], light_engine: Path, light_checkpoint: Path, tmp_path: Path
) -> None:
    assert "--layers can't look into" in failed(capsys, "verify", light_engine, tmp_path / "not read.pt", "--layers")
    half = tmp_path / "half.onnx"
    assert run(capsys, "build-engine", light_checkpoint, "-o", half, "--precision", "fp16", "--size", "32")[0] == 0
    code, out, err = run(capsys, "verify", half, light_checkpoint, "--layers")
    assert (code, "no stage drifts" in out) == (0, True)
    assert "--layers will look into the engine's graph, in ONNX Runtime" in err.splitlines()


def test_one_bad_photo(capsys: pytest.CaptureFixture[str], light_engine: Path, tmp_path: Path) -> None:
    save_image(tmp_path / "in" / "good.png", random_pictures(1, 32, 32)[0])
    (tmp_path / "in" / "bad.jpg").write_text("not a photo")

    code, out, err = run(capsys, "translate", light_engine, tmp_path / "in", "-o", tmp_path / "out")

    assert code == 1
    assert "1 translated" in out
    assert "1 of 2 failed" in out
    assert [line for line in err.splitlines() if line.startswith("error: ") and "bad.jpg" in line]
    assert (tmp_path / "out" / "good.png").is_file()


def test_from_stdin_to_stdout(light_engine: Path, tmp_path: Path) -> None:
    """In a process of its own: what the pipes carry is bytes."""
    command = [sys.executable, "-m", "ugatit_fast.cli", "translate", light_engine, "-", "-o", "-", "--format", "webp"]
    photo = encode_image(random_pictures(1, 40, 50)[0], ".png")
    result = subprocess.run(command, input=photo, capture_output=True, check=True, cwd=tmp_path)
    assert decode_image(result.stdout, "stdout").shape == (32, 32, 3)
    assert result.stdout.startswith(b"RIFF")
    assert b"1 translated into stdout" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_from_archive_to_archive(capsys: pytest.CaptureFixture[str], light_engine: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("sub/a.png", encode_image(random_pictures(1, 40, 50)[0], ".png"))
    arguments = ["--no-gallery", "--format", "jpg", "--cam"]
    code, out, _ = run(capsys, "translate", light_engine, tmp_path / "in.zip", "-o", tmp_path / "out.zip", *arguments)
    assert (code, "1 translated" in out) == (0, True)
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.namelist() == ["sub/a.jpg", "gallery/heatmap/sub/a.jpg"]


def test_tiles(capsys: pytest.CaptureFixture[str], light_engine: Path, light_checkpoint: Path, tmp_path: Path) -> None:
    back = tmp_path / "back.onnx"
    arguments = ["--direction", "B2A", "--size", "32", "--heatmap", "--backend", "onnxruntime"]
    assert run(capsys, "build-engine", light_checkpoint, "-o", back, *arguments)[0] == 0
    save_image(tmp_path / "a.png", random_pictures(1, 32, 32)[0])
    assert run(capsys, "translate", light_engine, tmp_path / "a.png", "-o", tmp_path / "out", "--stack", back)[0] == 0
    tiles = np.split(load_image(tmp_path / "out/a.png"), 7)
    assert run(capsys, "translate", light_engine, tmp_path / "a.png", "-o", tmp_path / "plain")[0] == 0
    np.testing.assert_array_equal(tiles[4], load_image(tmp_path / "plain/a.png"))
    assert run(capsys, "translate", back, tmp_path / "plain/a.png", "-o", tmp_path / "back")[0] == 0
    np.testing.assert_array_equal(tiles[6], load_image(tmp_path / "back/a.png"))


def test_a_part_of_the_photo(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, light_engine: Path, tmp_path: Path
) -> None:
    picture = random_pictures(1, 80, 100)[0]
    save_image(tmp_path / "a.png", picture)
    command = ["translate", light_engine, tmp_path / "a.png", "-o", tmp_path / "out"]
    assert run(capsys, *command, "--crop", "box=10,20,40,50", "--paste-back")[0] == 0
    pasted = load_image(tmp_path / "out/a.png")
    outside = np.ones((80, 100), bool)
    outside[20:70, 10:50] = False
    np.testing.assert_array_equal(pasted[outside], picture[outside])
    assert (pasted[30:60, 20:40] != picture[30:60, 20:40]).mean() > 0.9
    model = write_yunet(tmp_path / "yunet.onnx", [Sure(8, row=4, column=4, face=(12, 16))])
    assert run(capsys, *command, "--crop", "face", "--face-model", model)[0] == 0
    monkeypatch.setattr("ugatit_fast.translate.faces.packaged_model", lambda: None)
    assert "--face-model" in failed(capsys, *command, "--crop", "face")
    for wrong in ("nose", "box", "box=1,2,3", "box=1,2,3,x", "box=0,0,0,9", "box=-1,0,9,9"):
        assert run(capsys, *command, "--crop", wrong)[0] == 2


def test_watching_until_ctrl_c(light_engine: Path, tmp_path: Path) -> None:
    inbox, out = tmp_path / "in", tmp_path / "out"
    inbox.mkdir()
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import ugatit_fast.cli as c; "
    program += "raise SystemExit(c.main())"
    command = [sys.executable, "-c", program, "translate", light_engine, inbox, "-o", out, "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            while "watching" not in process.stderr.readline():
                pass
            save_image(inbox / "a.png", random_pictures(1, 32, 32)[0])
            while "1 translated" not in process.stderr.readline():
                pass
            assert (out / "a.png").is_file()
            assert "a.png" in (out / "index.html").read_text()
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, "1 translated" in stdout) == (0, True), stderr
    assert "Speed: " in stderr
    assert "Traceback" not in stderr


def test_known_failures_are_one_line(
    capsys: pytest.CaptureFixture[str], light_engine: Path, full_checkpoint: Path, tmp_path: Path
) -> None:
    assert "check the path" in failed(capsys, "build-engine", tmp_path / "nothing.pt")
    assert "is a folder" in failed(capsys, "build-engine", tmp_path)
    assert "trained at 32x32" in failed(capsys, "build-engine", full_checkpoint, "--size", "64")
    assert "nothing.jpg" in failed(capsys, "translate", light_engine, tmp_path / "nothing.jpg", "-o", tmp_path / "o")
    assert "check the path" in failed(capsys, "translate", tmp_path / "no.onnx", light_engine, "-o", tmp_path / "o")
    assert "another checkpoint" in failed(capsys, "verify", light_engine, full_checkpoint)
    save_image(tmp_path / "x.png", random_pictures(1, 32, 32)[0])
    assert "multiples of 4" in failed(
        capsys, "translate", light_engine, tmp_path / "x.png", "-o", tmp_path / "o", "--size", "30"
    )
    assert "x.png" in failed(capsys, "translate", light_engine, tmp_path / "x.png", "-o", tmp_path / "x.png")


def test_inspect_names_what_is_wrong_with_either_kind(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name, said in (("cut.onnx", "not an engine"), ("cut.pt", "empty")):
        (tmp_path / name).touch()
        assert said in failed(capsys, "inspect", tmp_path / name)


def test_convert_and_build_from_what_it_wrote(
    capsys: pytest.CaptureFixture[str], light_checkpoint: Path, tmp_path: Path
) -> None:
    code, out, _ = run(capsys, "convert", light_checkpoint, tmp_path / "g.safetensors", "--direction", "both")
    assert code == 0
    written = sorted(path for path in tmp_path.iterdir())
    assert len(written) == 2
    assert all(path.name in out for path in written)
    code, out, _ = run(capsys, "build-engine", written[1], "--size", "16")
    assert code == 0
    assert "B2A" in out


def test_suspicious_weights_are_a_line_of_warning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, light_checkpoint: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr("ugatit_fast.checkpoint.sanity.CONSTANT_STD", 10.0)
    code, _, err = run(capsys, "build-engine", light_checkpoint, "-o", tmp_path / "e.onnx", "--size", "16")
    assert code == 0
    assert [line for line in err.splitlines() if line.startswith("warning: ") and "one even colour" in line]


def test_verify_fails_on_a_failing_engine(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, light_engine: Path, light_checkpoint: Path
) -> None:
    monkeypatch.setattr("ugatit_fast.export.verify.FP32_MAX_ABS", -1.0)
    code, out, _ = run(capsys, "verify", light_engine, light_checkpoint)
    assert (code, "FAILS" in out) == (1, True)


def test_ctrl_c(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, light_engine: Path) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ugatit_fast.engine.read_spec", interrupted)
    assert run(capsys, "inspect", light_engine)[0] == 130


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "doctor")
    assert code == 0
    assert "onnxruntime engine" in out
    code, out, _ = run(capsys, "doctor", "--json")
    assert {"name", "status"} <= set(json.loads(out)[0])


def test_demo(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run(capsys, "demo", "-o", tmp_path / "demo")
    assert code == 0
    assert "load engine" in out
    assert "index.html" in out
    assert (tmp_path / "demo" / "astronaut.jpg").is_file()
    assert run(capsys, "demo", "-o", tmp_path / "demo")[0] == 0


def test_demo_where_it_cannot_write(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in failed(capsys, "demo", "-o", tmp_path / "file" / "demo")
