from pathlib import Path

import pytest

from tests.conftest import random_pictures
from ugatit_fast.choices import Loading
from ugatit_fast.errors import InputError
from ugatit_fast.media.images import load_image, save_image
from ugatit_fast.on_ray.folder import translate_request_on_ray
from ugatit_fast.on_ray.options import RayOptions
from ugatit_fast.translate.options import Request, TranslateOptions
from ugatit_fast.translate.request import translate_request, work_of


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        save_image(tmp_path / "in" / name, random_pictures(1, 32, 32)[0])
    return tmp_path / "in"


def test_one_photo_goes_into_the_file_that_is_named(photos: Path, tmp_path: Path) -> None:
    work = work_of([str(photos / "a.png")], tmp_path / "me.jpg", Request(), TranslateOptions())
    assert [str(source.relative) for source in work.sources] == ["me.jpg"]
    assert (work.out, work.options) == (tmp_path, TranslateOptions(gallery=False))


def test_several_go_into_a_folder_with_a_page(photos: Path, tmp_path: Path) -> None:
    work = work_of([str(photos)], tmp_path / "out", Request(format="webp"), TranslateOptions())
    assert [str(source.relative) for source in work.sources] == ["a.webp", "b.webp"]
    assert (work.out, work.options) == (tmp_path / "out", TranslateOptions())


def test_the_output_is_none_of_the_inputs(photos: Path) -> None:
    for request in (Request(), Request(watch=True)):
        with pytest.raises(InputError, match="choose one outside"):
            translate_request(
                photos / "no.onnx", [str(photos)], photos / "out",
                request=request, options=TranslateOptions(), loading=Loading(),
            )  # fmt: skip


def test_engines_are_loaded_as_asked(light_engine: Path, photos: Path, tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    report = translate_request(
        light_engine, [str(photos)], tmp_path / "out",
        request=Request(heatmap=True), options=TranslateOptions(), loading=Loading(device="cpu", threads=1),
        on_progress=lambda *counts: done.append(counts),
    )  # fmt: skip
    assert (len(report.translated), report.failures, done[-1]) == (2, (), (2, 2))
    assert load_image(tmp_path / "out" / "gallery" / "heatmap" / "b.png").shape == (32, 32, 3)


@pytest.mark.parametrize("request_", [Request(watch=True), Request(stack=Path("back.onnx"))])
def test_ray_neither_watches_nor_stacks(request_: Request, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be done on Ray"):
        translate_request_on_ray(
            tmp_path / "no.onnx", [str(tmp_path)], tmp_path / "out",
            request=request_, options=TranslateOptions(), ray_options=RayOptions(),
        )  # fmt: skip
