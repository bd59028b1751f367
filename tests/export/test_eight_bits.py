"""Eight bits: the ranges, the scaled channels, the rounding, and which places have them."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from tests.conftest import FULL, LIGHT, random_generator, random_pictures
from tests.export.test_int8_rows import BY_CONVOLUTIONS, NETWORKS
from ugatit_fast.assets import sample_photos
from ugatit_fast.errors import InputError
from ugatit_fast.export.calibration import STYLE, Calibration, Reading, calibrate, calibration_pictures, evenly
from ugatit_fast.export.eight_bits import EightBits, Emulated, Span, eight_bit_kernels, emulate, levels, rest
from ugatit_fast.export.equalise import activations, equalised, factors_of
from ugatit_fast.export.layer_choice import LayerChoice, Measure, emulating, fewest
from ugatit_fast.export.verify import Difference, exact_pictures
from ugatit_fast.fold import fold
from ugatit_fast.graph import FoldedGenerator
from ugatit_fast.model import Generator, GeneratorConfig

BIASED = replace(LIGHT, bias=True, affine_encoder=True, unbiased=False)
SHALLOW = replace(LIGHT, n_res=0)


def photos(side: int = 32) -> list[np.ndarray]:
    return calibration_pictures(None, (side, side))


@pytest.fixture(scope="module")
def light() -> FoldedGenerator:
    return fold(random_generator(LIGHT))


@pytest.fixture(scope="module")
def calibration(light: FoldedGenerator) -> Calibration:
    return calibrate(light, photos())


# Photos -----------------------------------------------------------------------------------------------------------


def test_the_sample_photos_are_always_among_the_photos(tmp_path: Path) -> None:
    Image.fromarray(random_pictures(1, 40, 50)[0]).save(tmp_path / "own.png")
    pictures = calibration_pictures(tmp_path, (32, 48))
    assert [picture.shape for picture in pictures] == [(32, 48, 3)] * (len(sample_photos()) + 1)


def test_photos_that_say_nothing_are_left_out_and_counted(tmp_path: Path) -> None:
    Image.fromarray(random_pictures(1, 40, 40)[0]).save(tmp_path / "a.png")
    Image.new("RGB", (40, 40), "teal").save(tmp_path / "b.png")
    (tmp_path / "c.jpg").write_bytes(b"no photo")
    said: list[str] = []
    phases: list[tuple[str, int, int]] = []
    pictures = calibration_pictures(tmp_path, (32, 32), said.append, lambda *phase: phases.append(phase))
    assert len(pictures) == len(sample_photos()) + 1
    assert said == [f"calibration: 1 photos of {tmp_path}, without 1 that can't be read, 1 of one colour"]
    assert phases[-1] == ("reading photos", 3, 3)


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ({}, "has no photos"),
        ({"note.txt": b"hello"}, "has no photos"),
        ({"a.jpg": b"no photo"}, "no photo in .* can be used .1 that can't be read, 0 of one colour"),
        ({"a.png": None}, "0 that can't be read, 1 of one colour"),
    ],
)
def test_a_folder_without_a_useful_photo_is_refused(
    tmp_path: Path, contents: dict[str, bytes | None], reason: str
) -> None:
    for name, content in contents.items():
        if content is None:
            Image.new("RGB", (20, 20), "black").save(tmp_path / name)
        else:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=reason):
        calibration_pictures(tmp_path, (32, 32))


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes a folder of photos"):
        calibration_pictures(tmp_path / "absent", (32, 32))


def test_a_large_folder_is_thinned_evenly() -> None:
    names = [Path(str(i)) for i in range(1000)]
    assert evenly(names, 4) == [names[0], names[250], names[500], names[750]]
    assert evenly(names[:3], 4) == names[:3]


# Ranges -----------------------------------------------------------------------------------------------------------


def test_every_convolution_is_read_from_minimum_to_maximum(light: FoldedGenerator) -> None:
    pictures = photos()
    calibration = calibrate(light, pictures)
    convolutions = [name.removesuffix(".weight") for name in light.tensors() if name.endswith(".weight")]
    assert sorted(calibration.readings) == sorted(convolutions)
    assert calibration.photos == len(pictures)
    stem = calibration.readings["stem"]
    both = np.stack(pictures) / 127.5 - 1
    np.testing.assert_allclose(stem.low, np.minimum(both.min((0, 1, 2)), 0), atol=1e-6)
    np.testing.assert_allclose(stem.high, np.maximum(both.max((0, 1, 2)), 0), atol=1e-6)
    assert stem.multiply_adds == light.stem.weight.numel() * 32 * 32
    assert (calibration.readings["down.0"].low == 0).all()  # it follows a ReLU


def test_only_a_full_generator_reads_the_map_with_a_linear_layer(light: FoldedGenerator) -> None:
    full = fold(random_generator(FULL))
    assert STYLE not in calibrate(light, photos()).readings
    assert calibrate(full, photos()).readings[STYLE].multiply_adds == full.style.first.numel()


def test_nothing_to_calibrate_with(light: FoldedGenerator) -> None:
    with pytest.raises(InputError, match="no pictures"):
        calibrate(light, [])


# Channels scaled --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [LIGHT, FULL, BIASED, SHALLOW], ids=["light", "full", "biased", "no blocks"])
def test_scaled_channels_are_the_same_network(config: GeneratorConfig) -> None:
    folded = fold(random_generator(config).double())
    even, _ = equalised(folded, calibrate(folded, photos()))
    picture = torch.from_numpy(random_pictures(2, 32, 32))
    (image, heat), (again, heat_again) = folded(picture), even(picture)
    assert (image.int() - again.int()).abs().max() <= 1  # a half that rounds the other way
    torch.testing.assert_close(heat_again, heat, rtol=1e-6, atol=1e-6)


def test_what_is_read_after_scaling_is_known_without_running_it_again(
    light: FoldedGenerator, calibration: Calibration
) -> None:
    even, known = equalised(light, calibration)
    for place, reading in calibrate(even, photos()).readings.items():
        np.testing.assert_allclose(known.readings[place].high, reading.high, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(known.readings[place].low, reading.low, rtol=1e-3, atol=1e-5)


def test_one_reader_sees_channels_that_are_all_as_large(light: FoldedGenerator, calibration: Calibration) -> None:
    _, known = equalised(light, calibration)
    largest = known.readings["out"].high
    used = calibration.readings["out"].high > 0
    np.testing.assert_allclose(largest[used], largest[used].max(), rtol=1e-5)


def test_every_place_but_the_first_reads_one_activation_that_is_scaled(light: FoldedGenerator) -> None:
    read = [place for one in activations(light) for place in one.read_by]
    assert sorted([*read, "stem"]) == sorted(calibrate(light, photos()[:1]).readings)


def test_a_dead_channel_is_left_small() -> None:
    nothing = Reading(np.zeros(3, np.float32), np.array([1, 0, 2], np.float32), np.zeros(1, np.float32), 1)
    assert np.isfinite(factors_of([nothing])).all()
    assert factors_of([nothing]).max() <= 1e3


def test_every_architecture_is_scaled_exactly() -> None:
    for name, folded in (NETWORKS | BY_CONVOLUTIONS).items():
        even, _ = equalised(folded, calibrate(folded, photos()))
        changed = [key for key, tensor in even.tensors().items() if not tensor.equal(folded.tensors().get(key, tensor))]
        assert changed, name
        pictures = torch.from_numpy(random_pictures(1, 32, 32))
        assert (folded(pictures)[0].int() - even(pictures)[0].int()).abs().max() <= 1, name


def test_convolutions_of_single_channels_have_no_bytes() -> None:
    folded = BY_CONVOLUTIONS["animegan2"]
    assert EightBits.of(folded, calibrate(folded, photos()[:1])).without_bytes == tuple(
        f"c{i}_apart" for i in range(1, 5)
    )


# Rounding ---------------------------------------------------------------------------------------------------------


@given(st.floats(-100, 0), st.floats(0, 100), st.floats(0, 1))
def test_zero_is_exact_and_the_rest_within_half_a_step(low: float, high: float, share: float) -> None:
    span = Span(low, high)
    x = torch.tensor([0.0, low + share * (high - low)])
    rounded = levels(x, span) * span.scale
    assert rounded[0] == 0
    assert abs(rounded[1] - x[1]) <= 0.5001 * span.scale + 1e-6
    assert 0 <= span.zero <= 255


def test_kernels_are_within_half_a_step_of_each_output_channel() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 3, 2, 2)).astype(np.float32) * np.arange(5)[:, None, None, None]
    weight = weight.astype(np.float32)
    kernels, scale = eight_bit_kernels(weight)
    assert kernels.dtype == np.int8
    assert (np.abs(kernels.astype(int)) <= 127).all()
    assert (kernels[0] == 0).all()
    assert (np.abs(kernels[1:].astype(int)).max((1, 2, 3)) == 127).all()
    error = np.abs(kernels * scale[:, None, None, None] - weight).max((1, 2, 3))
    assert (error <= 0.5001 * scale).all()


def test_the_emulation_is_integer_arithmetic(light: FoldedGenerator, calibration: Calibration) -> None:
    eight = EightBits.of(light, calibration)
    place, span = eight.folded.down_stages[0], eight.spans["down.0"]
    x = torch.rand(1, LIGHT.ch, 10, 10) * span.high
    kernels, scale = eight_bit_kernels(place.weight.numpy())
    unsigned = np.clip(np.rint(x[0].numpy() / np.float32(span.scale)) + span.zero, 0, 255).astype(np.uint8)
    windows = sliding_window_view(unsigned.astype(np.int64) - span.zero, (3, 3), (1, 2))
    sums = np.einsum("chwij,ocij->ohw", windows[:, ::2, ::2], kernels.astype(np.int64))
    found = Emulated(eight).convolved(x, place, stride=2)[0].numpy()
    np.testing.assert_allclose(found, sums * (scale * np.float32(span.scale))[:, None, None], rtol=1e-6)


def test_without_eight_bits_it_is_the_float32_network(light: FoldedGenerator, calibration: Calibration) -> None:
    nothing = EightBits.of(light, calibration).only([])
    pictures = photos()
    exact = light(torch.from_numpy(np.stack(pictures)))[0].numpy()
    assert np.abs(emulate(nothing, pictures).astype(int) - exact).max() <= 1
    assert nothing.without_bytes == tuple(calibration.readings)


def test_a_full_generators_linear_layer_is_rounded_too() -> None:
    folded = fold(random_generator(FULL))
    eight = EightBits.of(folded, calibrate(folded, photos()))
    alone = eight.only([STYLE])
    assert (emulate(alone, photos()) != emulate(eight.only([]), photos())).any()


# Which places -----------------------------------------------------------------------------------------------------


def spoilt_generator() -> Generator:
    """One whose `up.1` has no use for eight bits: taps of a channel that is never alive dwarf all others."""
    generator = random_generator(LIGHT)
    generator.get_parameter("UpBlock2.3.beta").data[:, 0] = -1e3
    generator.get_parameter("UpBlock2.7.weight").data[:, 0] = 1e7
    return generator


def test_a_network_that_misses_the_gate_has_float32_where_it_costs_most() -> None:
    generator = spoilt_generator()
    folded, pictures = fold(generator), photos(64)
    measure = emulating(pictures, exact_pictures(generator, pictures))
    eight = EightBits.of(folded, calibrate(folded, pictures))
    assert not measure(eight).passes("int8")
    said: list[str] = []
    right = LayerChoice(eight, measure, said.append).right()
    assert measure(right).passes("int8")
    assert right.without_bytes == ("up.1",)
    assert said == ["one byte everywhere misses the gate: measuring what each place costs"]


def fake_measure(hurts: dict[str, float], *, cured_by_fine: bool = True) -> Measure:
    """Each place that has eight bits lowers the PSNR by so much."""

    def measure(tried: EightBits) -> Difference:
        bad = set(tried.spans) | (set() if cured_by_fine else set(tried.fine))
        return Difference(0, 0, 0, 0, 0, 50.0 - sum(hurts.get(place, 0.01) for place in bad), 1)

    return measure


def test_what_passes_is_left_as_it_is(light: FoldedGenerator, calibration: Calibration) -> None:
    eight = EightBits.of(light, calibration)
    assert LayerChoice(eight, fake_measure({})).right() is eight


def test_a_second_byte_comes_before_float32(light: FoldedGenerator, calibration: Calibration) -> None:
    eight = EightBits.of(light, calibration)
    right = LayerChoice(eight, fake_measure({"attention": 9.0, "up.0": 6.0})).right()
    assert (list(right.fine), right.without_bytes) == (["attention"], ())
    right = LayerChoice(eight, fake_measure({"attention": 9.0, "up.0": 6.0})).right(slack_db=6)
    assert (set(right.fine), right.without_bytes) == ({"attention", "up.0"}, ())
    hopeless = LayerChoice(eight, fake_measure({"attention": 11.0}, cured_by_fine=False)).right()
    assert hopeless.without_bytes == ("attention",)


def test_another_measure_may_order_the_places(light: FoldedGenerator, calibration: Calibration) -> None:
    eight = EightBits.of(light, calibration)
    judged, ranked = fake_measure({"attention": 11.0}), fake_measure({"stem": 30.0})
    right = LayerChoice(eight, judged, ranked_by=ranked)
    assert right.order[0] == "stem"
    assert "attention" in right.right().fine


def test_everything_may_have_to_stay_float32(light: FoldedGenerator, calibration: Calibration) -> None:
    eight = EightBits.of(light, calibration)
    hurts = dict.fromkeys(eight.spans, 11.0)
    right = LayerChoice(eight, fake_measure(hurts, cured_by_fine=False)).right()
    assert right.without_bytes == tuple(eight.multiply_adds)


def test_the_cost_of_a_place_counts_what_it_saves(light: FoldedGenerator, calibration: Calibration) -> None:
    eight = EightBits.of(light, calibration)
    measure = fake_measure({"stem": 20.0, "up.1": 30.0})
    dear = replace(eight, multiply_adds=dict.fromkeys(eight.multiply_adds, 1))
    assert LayerChoice(dear, measure).order[:2] == ["up.1", "stem"]
    saves = replace(dear, multiply_adds={**dear.multiply_adds, "up.1": 50})
    assert LayerChoice(saves, measure).order[:2] == ["stem", "up.1"]


def test_two_bytes_are_256_times_finer(light: FoldedGenerator, calibration: Calibration) -> None:
    eight = EightBits.of(light, calibration)
    span = eight.spans["down.1"]
    x = torch.linspace(span.low, span.high, 1001)
    first = levels(x, span)
    both = first * span.scale + rest(x, first, span) * span.rest_scale
    assert (both - x).abs().max() <= 0.51 * span.rest_scale + 1e-6
    fine = eight.refined(eight.spans)
    assert list(fine.spans) == ["stem"]  # the picture's bytes are all there is
    pictures = photos()
    exact = light(torch.from_numpy(np.stack(pictures)))[0].numpy() / 127.5 - 1
    measure = emulating(pictures, exact)
    assert measure(fine).psnr_db > measure(eight).psnr_db + 1


@pytest.mark.parametrize("needed", [1, 2, 7, 8])
def test_the_fewest_places_are_found_by_halving(needed: int) -> None:
    asked: list[int] = []

    def passes(places: Collection[str]) -> bool:
        asked.append(len(places))
        return len(places) >= needed

    assert fewest(list("abcdefgh"), passes) == needed
    assert len(asked) <= 3
