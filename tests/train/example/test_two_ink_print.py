import numpy as np
import pytest
import torch

pytest.importorskip("skimage", reason='the example data set needs pip install ".[example-data]"')

from ugatit_fast.assets import sample_photos
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.images import Pixels, load_image
from ugatit_fast.model import Generator, GeneratorConfig
from ugatit_fast.train.example.two_ink_print import (
    CORAL,
    NAVY,
    PAPER,
    TINT_DENSITY,
    covered,
    outlines,
    smoothed,
    stretched,
    through,
    two_ink_print,
)


@pytest.fixture(scope="module")
def photo() -> Pixels:
    return fit_image(load_image(sample_photos()[1]), (128, 128), "crop")


def test_a_print_has_the_colours_of_two_inks_on_paper(photo: Pixels) -> None:
    """Within the hull of paper and inks, and all of it used: white paper, full coral, full navy."""
    printed = two_ink_print(photo)
    assert printed.shape == photo.shape
    assert printed.dtype == np.uint8
    solid = np.array([[PAPER, PAPER * CORAL], [PAPER * NAVY, PAPER * NAVY * CORAL]])
    assert (printed >= np.floor(solid.min(axis=(0, 1)))).all()
    assert (printed <= np.ceil(PAPER)).all()
    lightness = printed.mean(-1)
    assert lightness.min() < 60
    assert lightness.max() > 235
    assert (lightness < 90).mean() > 0.1
    assert (lightness > 215).mean() > 0.1


def test_a_print_forgets_what_the_encoder_forgets(photo: Pixels) -> None:
    """Brightness and contrast of the photo: half the contrast, another exposure, the same print."""
    dim = np.rint(photo * 0.5 + 40).astype(np.uint8)
    assert np.abs(two_ink_print(dim).astype(int) - two_ink_print(photo)).mean() < 4


def test_a_generator_cannot_tell_brightness_and_contrast() -> None:
    """Why the filter stretches lightness first: its instance normalisations take both off."""
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(ch=4, n_res=1, img_size=32, light=True)).eval()
    picture = torch.rand(1, 3, 32, 32) * 2 - 1
    with torch.inference_mode():
        bright, dim = (generator(x)[0] for x in (picture, 0.4 * picture - 0.3))
    torch.testing.assert_close(dim, bright, rtol=0, atol=1e-3)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_even_picture_comes_out_almost_even(level: int) -> None:
    assert two_ink_print(np.full((64, 64, 3), level, np.uint8)).std(axis=(0, 1)).max() < 8


def test_outlines_are_on_the_dark_side_of_an_edge_and_nowhere_else() -> None:
    lightness = np.where(np.arange(60) < 30, 0.45, 0.9)[None].repeat(60, axis=0)
    line = outlines(lightness)
    assert line[:, 27:30].max() > 0.9
    assert line[:, 31:].max() < 0.01
    assert line[:, :18].max() < 0.01
    assert outlines(np.full((16, 16), 0.5)).max() == 0


def test_darker_tones_get_more_ink() -> None:
    tones = np.linspace(1, 0, 50)[None]
    coverage = covered(tones, 0.5, 0.035)
    assert (np.diff(coverage) > 0).all()
    assert coverage[0, 0] < 1e-4
    assert coverage[0, -1] > 1 - 1e-4
    assert covered(np.array([[0.5]]), 0.5, 0.035) == 0.5


def test_ink_lets_through_its_share_of_light() -> None:
    np.testing.assert_allclose(through(np.array([[0.0, 1.0]]), CORAL), [[[1, 1, 1], CORAL]])
    light = through(np.array([[TINT_DENSITY]]), CORAL)[0, 0]
    np.testing.assert_allclose(light, 1 - TINT_DENSITY * (1 - CORAL))


def test_smoothing_takes_noise_and_leaves_edges() -> None:
    random = np.random.default_rng(0)
    noisy = np.where(np.arange(64) < 32, 0.2, 0.8)[None].repeat(64, axis=0) + random.normal(0, 0.01, (64, 64))
    smooth = smoothed(noisy)
    assert smooth[:, 4:24].std() < 0.3 * noisy[:, 4:24].std()
    assert (smooth[:, 32] - smooth[:, 31]).mean() > 0.55


def test_levels_are_stretched_to_the_whole_range() -> None:
    ramp = np.linspace(0.4, 0.6, 64)[None].repeat(64, axis=0)
    assert stretched(ramp).min() < 0.05
    assert stretched(ramp).max() > 0.95
