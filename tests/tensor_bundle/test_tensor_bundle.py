"""The reader against TensorFlow's own files, against every layout a writer can choose, and against damage."""

import re
import shutil
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.tensor_bundle.bundle_writer import (
    Layout,
    entry_message,
    header_message,
    mask,
    table,
    table_block,
    write_bundle,
)
from tests.tensor_bundle.bundle_writer import crc32c as slow_crc32c
from ugatit_fast.errors import CheckpointError
from ugatit_fast.tensor_bundle import TensorBundle, find_prefix, looks_like_bundle
from ugatit_fast.tensor_bundle.crc32c import FAR_FOLD, NEAR_FOLD, crc32c, unmask
from ugatit_fast.tensor_bundle.leveldb_table import MAX_FILE_BYTES

Tensors = dict[str, NDArray[Any]]

GOLDEN = Path(__file__).parents[1] / "data" / "tensorflow_2_21" / "m.model-1000"


def assert_same(read: NDArray[Any], written: NDArray[Any]) -> None:
    """Bit for bit, NaN included."""
    assert read.dtype == written.dtype
    assert read.shape == written.shape
    assert read.tobytes() == written.tobytes()


def read_all(path: Path, verify: bool = True) -> Tensors:
    with TensorBundle.open(path) as bundle:
        return {name: bundle.read(name, verify=verify) for name in bundle.names()}


def assert_reads(prefix: Path, tensors: Tensors) -> None:
    read = read_all(prefix)
    assert sorted(read) == sorted(tensors)
    for name, tensor in tensors.items():
        assert_same(read[name], tensor)


def few_tensors() -> Tensors:
    rng = np.random.default_rng(0)
    return {
        "generator_B/conv/conv2d/kernel": rng.standard_normal((3, 3, 2, 4)).astype(np.float32),
        "generator_B/conv/conv2d/bias": rng.standard_normal(4).astype(np.float32),
        "generator_B/conv_0/conv2d/bias": rng.standard_normal(5).astype(np.float32),
        "generator_B/rho": np.array(0.9, np.float32),
        "beta1_power": np.array(0.5, np.float64),
        "global_step": np.array(42, np.int64),
    }


# What TensorFlow wrote.


def test_golden_checkpoint_bit_for_bit() -> None:
    expected: Tensors = {
        "generator_B/encoder/conv/kernel": np.random.RandomState(0).randn(3, 3, 2, 4).astype(np.float32),
        "generator_B/encoder/conv/bias": np.arange(4, dtype=np.float32),
        "generator_B/rho": np.array(0.9, np.float32),
        "half": np.arange(3, dtype=np.float16),
        "global_step": np.array(42, np.int64),
    }
    expected |= {f"generator_A/block_{k:02d}/gamma": np.full(3, k, np.float32) for k in range(40)}
    assert len(expected) == 45
    assert_reads(GOLDEN, expected)


def test_golden_checkpoint_is_what_our_writer_writes(tmp_path: Path) -> None:
    """The writer the other tests rely on lays out the golden tensors as TensorFlow did, byte for byte."""
    tensors = read_all(GOLDEN)
    with TensorBundle.open(GOLDEN) as bundle:
        in_file_order = sorted(bundle.entries.values(), key=lambda entry: entry.offset)
    ours = write_bundle(tmp_path / "m.model-1000", {entry.name: tensors[entry.name] for entry in in_file_order})
    for suffix in (".index", ".data-00000-of-00001"):
        assert Path(f"{ours}{suffix}").read_bytes() == Path(f"{GOLDEN}{suffix}").read_bytes()


# The checksum.


def test_crc32c_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4


@pytest.mark.parametrize("exponents", [FAR_FOLD, NEAR_FOLD])
def test_folds_are_multiples_of_the_polynomial(exponents: tuple[int, ...]) -> None:
    polynomial = 0x11EDC6F41
    total = 1
    for exponent in exponents:
        total |= 1 << exponent
    while (degree := total.bit_length() - 1) >= 32:
        total ^= polynomial << (degree - 32)
    assert total == 0


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.one_of(st.integers(0, 4000), st.integers(8 * FAR_FOLD[0] - 40, 130_000)))
@example(0, 8 * NEAR_FOLD[0])
@example(0, 8 * NEAR_FOLD[0] + 8)
@example(0, 8 * FAR_FOLD[0] + 7)
@example(0, 8 * ((1 << 16) + 1) + 3)  # one chunk and a bit
def test_crc32c_is_that_of_the_plain_loop(seed: int, size: int) -> None:
    data = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    assert crc32c(data) == slow_crc32c(data.tobytes())


@given(st.integers(0, 2**32 - 1))
def test_unmask_undoes_mask(crc: int) -> None:
    assert unmask(mask(crc)) == crc


# What a writer may choose.

names = st.lists(
    st.one_of(
        st.sampled_from(["generator_A/", "generator_B/", "generator_B/res/", ""]).flatmap(
            lambda scope: st.text("abc/_01", min_size=1, max_size=12).map(lambda name: scope + name)
        ),
        st.text(min_size=1, max_size=20).filter(str.isprintable),
    ),
    unique=True,
    max_size=12,
)
dtypes = st.sampled_from(
    ["f4", "f4", "f2", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "c8", "c16", "?"],
)
shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)
layouts = st.builds(
    Layout,
    shards=st.integers(1, 4),
    restart_interval=st.sampled_from([1, 2, 16]),
    names_per_block=st.sampled_from([1, 3, 1000]),
    padding=st.sampled_from([0, 1, 3]),
)


def random_tensor(dtype: str, shape: tuple[int, ...], seed: int) -> NDArray[Any]:
    """Any bits at all (any of two for a bool)."""
    rng = np.random.default_rng(seed)
    if dtype == "?":
        return rng.integers(0, 2, shape).astype(bool)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(rng.bytes(size), dtype).reshape(shape)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(names.flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(dtypes, shapes), min_size=12))), layouts)
def test_every_layout_round_trips(named: tuple[list[str], list[tuple[str, tuple[int, ...]]]], layout: Layout) -> None:
    tensors = {name: random_tensor(*kind, seed) for seed, (name, kind) in enumerate(zip(*named, strict=False))}
    with tempfile.TemporaryDirectory() as folder:
        assert_reads(write_bundle(Path(folder) / "m-1", tensors, layout), tensors)


def test_entries_describe_the_tensors(tmp_path: Path) -> None:
    tensors = few_tensors()
    prefix = write_bundle(tmp_path / "m-1", tensors, Layout(shards=2))
    with TensorBundle.open(prefix) as bundle:
        assert bundle.num_shards == 2
        assert bundle.prefix == prefix
        assert bundle.names() == tuple(sorted(tensors))
        kernel = bundle.entries["generator_B/conv/conv2d/kernel"]
        assert (kernel.dtype, kernel.shape, kernel.stored_as) == (np.dtype("f4"), (3, 3, 2, 4), "float32")
        assert (kernel.shard, kernel.offset, kernel.size) == (0, 0, 288)
        assert kernel.crc32c == slow_crc32c(tensors[kernel.name].tobytes())


def test_bfloat16_is_decoded(tmp_path: Path) -> None:
    exact = np.array([0.0, -0.0, 1.0, -2.5, np.inf, np.nan, 3.3895314e38, 1e-40], np.float32)
    bits = (exact.view(np.uint32) >> 16).astype(np.uint16)
    prefix = write_bundle(tmp_path / "m-1", {"x": bits}, Layout(bfloat16=frozenset({"x"}), padding=1))
    with TensorBundle.open(prefix) as bundle:
        assert (bundle.entries["x"].dtype, bundle.entries["x"].stored_as) == (np.dtype("f4"), "bfloat16")
        assert_same(bundle.read("x", verify=True), (bits.astype(np.uint32) << 16).view(np.float32))


@pytest.mark.parametrize(("padding", "mapped"), [(0, True), (4, True), (2, False)])
def test_aligned_data_is_a_read_only_view_of_the_file(tmp_path: Path, padding: int, mapped: bool) -> None:
    written = np.arange(6, dtype=np.float32).reshape(2, 3)
    prefix = write_bundle(tmp_path / "m-1", {"x": written}, Layout(padding=padding))
    with TensorBundle.open(prefix) as bundle:
        read = bundle.read("x")
        assert np.shares_memory(read, bundle.read("x")) is mapped
    assert not read.flags.writeable
    assert read.flags.aligned
    assert_same(read, written)  # still there after close


# What is refused, by name.


def refusal(path: Path, name: str | None = None, verify: bool = False) -> str:
    """The one-line message with which opening, or reading `name`, is refused."""
    with pytest.raises(CheckpointError) as caught, TensorBundle.open(path) as bundle:
        bundle.read(name or bundle.names()[0], verify=verify)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path.parent) in message
    assert ";" in message or "can't be" in message  # what to do
    return message


def test_compressed_blocks_are_refused(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "m-1", few_tensors(), Layout(compression=1))
    assert "found snappy compression" in refusal(prefix)


def test_big_endian_is_refused(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "m-1", few_tensors(), Layout(big_endian=True))
    assert "expected little-endian data, found big-endian" in refusal(prefix)


def test_later_versions_are_refused(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "m-1", few_tensors(), Layout(min_consumer=2))
    assert "for readers of version 2" in refusal(prefix)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (entry_message(type_number=7, shape=(1,), size=20, crc=0), "of the TensorFlow type string"),
        (entry_message(type_number=24, shape=(1,), size=1, crc=0), "of the TensorFlow type float8_e5m2"),
        (entry_message(type_number=77, shape=(1,), size=1, crc=0), "of the TensorFlow type number 77"),
        (entry_message(type_number=1, shape=(8,), size=0, crc=0, slices=2), "saved in 2 slice(s)"),
    ],
)
def test_unreadable_tensors_are_named_and_leave_the_others_alone(tmp_path: Path, message: bytes, reason: str) -> None:
    layout = Layout(extra_entries={b"odd": message, b"\0\x01odd": b"a slice's key sorts before all names"})
    prefix = write_bundle(tmp_path / "m-1", few_tensors(), layout)
    with TensorBundle.open(prefix) as bundle:
        assert bundle.names() == tuple(sorted(few_tensors()))
        assert list(bundle.unreadable) == ["odd"]
        bundle.read("generator_B/rho", verify=True)
    assert f"odd can't be read: it is {reason}" in refusal(prefix, "odd")


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "m-1", few_tensors())
    assert "expected a variable generator_C/rho, found 6 others" in refusal(prefix, "generator_C/rho")


LIES = {
    "size": (
        entry_message(type_number=1, shape=(2,), size=4, crc=0),
        "expected 8 bytes for lie, float32 of shape (2,)",
    ),
    "offset": (
        entry_message(type_number=4, shape=(2,), size=2, offset=1 << 62, crc=0),
        "expected at least 46116860184",
    ),
    "negative offset": (
        entry_message(type_number=4, shape=(2,), size=2, offset=-4, crc=0),
        "expected at least 1844674",
    ),
    "shard": (entry_message(type_number=4, shape=(2,), size=2, shard=9, crc=0), "in one of 1 data file(s)"),
    "huge": (entry_message(type_number=1, shape=(1 << 40, 1 << 40), size=8, crc=0), "at most 2^48 numbers"),
    "huge but empty": (entry_message(type_number=1, shape=(0, 1 << 62, 9), size=0, crc=0), "at most 2^48 numbers"),
    "negative": (entry_message(type_number=1, shape=(-1,), size=4, crc=0), "at most 2^48 numbers"),
    "rank": (entry_message(type_number=1, shape=(1,) * 33, size=4, crc=0), "at most 32 dimensions for lie, found 33"),
    "unknown rank": (b"\x08\x01\x12\x02\x18\x01", "found an unknown number"),
    "varint": (b"\x08" + b"\xff" * 12, "found no end to it"),
    "65 bits": (b"\x08" + b"\xff" * 9 + b"\x7f", "expected a 64-bit number"),
    "cut": (b"\x12\x7f\x00", "expected a field within 1 bytes, found 127"),
    "group": (b"\x0b", "found 3"),
    "number for a message": (b"\x08\x01\x10\x05", "expected a message in field 2"),
    "message for a number": (b"\x0a\x01\x01", "expected a number in field 1"),
    "no shape": (b"\x08\x01\x28\x08", "expected 4 bytes for lie, float32 of shape (), found 8"),
}


@pytest.mark.parametrize("lie", LIES)
def test_entries_that_contradict_themselves_or_the_files(tmp_path: Path, lie: str) -> None:
    message, complaint = LIES[lie]
    prefix = write_bundle(tmp_path / "m-1", few_tensors(), Layout(extra_entries={b"lie": message}))
    assert complaint in refusal(prefix)


def test_names_that_are_not_text(tmp_path: Path) -> None:
    message = entry_message(type_number=4, shape=(1,), size=1, crc=0)
    for name, complaint in {b"\xff\xfe": "expected names in UTF-8", b"a\nb": r"printable names, found 'a\nb'"}.items():
        prefix = write_bundle(tmp_path / "m-1", few_tensors(), Layout(extra_entries={name: message}))
        assert complaint in refusal(prefix)


HEADER = {b"": header_message(shards=1)}
SCALAR = entry_message(type_number=4, shape=(), size=1, crc=slow_crc32c(b"x"))
TABLES = {
    "no header": (table([{b"a": SCALAR}]), "expected a header under the empty name, found none"),
    "no shards": (table([{b"": b""}]), "found a count of 0"),
    "endless shards": (table([{b"": header_message(shards=1 << 40)}]), "expected 1 to 100000 data files"),
    "descending": (table([{**HEADER, b"b": SCALAR, b"a": SCALAR}]), "expected names in ascending order, found b'a'"),
    "long names": (table([{**HEADER, b"a" * 2000: SCALAR}]), "expected names of at most 1024 bytes"),
    "long values": (table([{**HEADER, b"a": bytes(1 << 17)}]), "expected values of at most 65536 bytes"),
    "many names": (
        table([{**HEADER, **{b"%06d" % i: b"\x08\x07" for i in range(100_000)}}]),
        "expected at most 100000 names",
    ),
    "empty": (b"", "expected at least 48 bytes, found 0"),
    "a web page": (b"<!DOCTYPE html>" * 9, "expected the index of a TensorFlow checkpoint"),
    "no entries": (table([]), "expected a block with entries, found an empty one"),
    "too large": (bytes(MAX_FILE_BYTES + 1), "at most 4 MiB"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_that_are_no_index(tmp_path: Path, kind: str) -> None:
    content, complaint = TABLES[kind]
    (tmp_path / "m.index").write_bytes(content)
    (tmp_path / "m.data-00000-of-00001").write_bytes(b"x")
    assert complaint in refusal(tmp_path / "m")


BLOCKS = {
    "shares more than there is": (b"\x05\x01\x00a", "found 1 bytes sharing 5"),
    "key past the end": (b"\x00\x50\x00a", "found 80 bytes"),
    "value past the end": (b"\x00\x01\x50a", "found 81 bytes"),
    "more than a handle": (b"\x00\x01\x03a\x00\x00\x00", "expected the offset and size of a block, found 1 bytes more"),
    "cut within a number": (b"\x00\x80", "found no end to it"),
}


@pytest.mark.parametrize("kind", BLOCKS)
def test_blocks_with_a_right_checksum_and_wrong_lengths(tmp_path: Path, kind: str) -> None:
    entries, complaint = BLOCKS[kind]
    (tmp_path / "m.index").write_bytes(with_index_block(entries + struct.pack("<II", 0, 1)))
    assert complaint in refusal(tmp_path / "m")


@pytest.mark.parametrize("restarts", [2, 1 << 31, 0xFFFFFFFF])
def test_restart_offsets_that_do_not_fit(tmp_path: Path, restarts: int) -> None:
    (tmp_path / "m.index").write_bytes(with_index_block(struct.pack("<II", 0, restarts)))
    assert f"expected {restarts} restart offsets" in refusal(tmp_path / "m")


def with_index_block(body: bytes) -> bytes:
    """A table whose index block has this body and a right checksum."""
    trailer = b"\0" + struct.pack("<I", mask(slow_crc32c(body + b"\0")))
    footer = bytes([0, 0, 0, len(body)]).ljust(40, b"\0") + table([HEADER])[-8:]
    return body + trailer + footer


def test_a_block_listed_over_and_over_is_read_once(tmp_path: Path) -> None:
    """Otherwise a small file could ask for hours of checksums."""
    block = table_block({**HEADER, b"a": SCALAR})
    handle = b"\x00" + bytes([len(block) - 5])
    index = table_block({b"%05d" % i: handle for i in range(20_000)})
    size = len(index) - 5
    footer = bytes([0, 0, len(block)]) + bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14])
    (tmp_path / "m.index").write_bytes(block + index + footer.ljust(40, b"\0") + table([HEADER])[-8:])
    assert "expected names in ascending order, found b'' after b'a'" in refusal(tmp_path / "m")


# Data files.


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "m-1", few_tensors(), Layout(shards=3))
    (tmp_path / "m-1.data-00001-of-00003").unlink()
    message = refusal(prefix)
    assert "m-1.data-00001-of-00003: expected this data file, number 1 (from 0) of 3, found none" in message


def test_a_short_shard_is_named_with_its_bytes(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "m-1", few_tensors())
    file = tmp_path / "m-1.data-00000-of-00001"
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:-1])
    assert f"expected at least {size} bytes, found {size - 1}" in refusal(prefix)


def test_a_shard_that_shrinks_after_opening(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "m-1", few_tensors())
    with TensorBundle.open(prefix) as bundle:
        (tmp_path / "m-1.data-00000-of-00001").write_bytes(b"")
        with pytest.raises(CheckpointError, match=r"expected at least \d+ bytes, found 0"):
            bundle.read("generator_B/rho")


def test_flipped_data_is_found_with_verify_only(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "m-1", few_tensors())
    file = tmp_path / "m-1.data-00000-of-00001"
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.write_bytes(data)
    name = "generator_B/conv/conv2d/kernel"
    with TensorBundle.open(prefix) as bundle:
        bundle.read(name)
        bundle.read("generator_B/rho", verify=True)
    assert re.search(rf"expected CRC-32C 0x\w{{8}} for {name}, found 0x", refusal(prefix, name, verify=True))


# Damage of any kind, anywhere.

damages = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), st.integers(0, 1 << 16), st.integers(1, 255)),
        st.tuples(st.just("cut"), st.integers(0, 1 << 16), st.just(0)),
        st.tuples(st.just("drop"), st.integers(0, 1 << 16), st.integers(1, 9)),
        st.tuples(st.just("insert"), st.integers(0, 1 << 16), st.integers(0, 255)),
    ),
    min_size=1,
    max_size=3,
)


def damage(data: bytes, kind: str, where: int, what: int) -> bytes:
    at = where % (len(data) + 1)
    if kind == "flip" and at < len(data):
        return data[:at] + bytes([data[at] ^ what]) + data[at + 1 :]
    return {
        "cut": data[:at],
        "drop": data[:at] + data[at + what :],
        "insert": data[:at] + bytes([what]) + data[at:],
    }.get(kind, data)


@settings(deadline=None, max_examples=250)
@given(damages, st.sampled_from([".index", ".index", ".data-00000-of-00001", "both"]), st.booleans())
def test_damage_is_refused_or_does_no_harm(changes: list[tuple[str, int, int]], target: str, golden: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder) / "m-1"
        if golden:
            for suffix in (".index", ".data-00000-of-00001"):
                shutil.copy(f"{GOLDEN}{suffix}", f"{prefix}{suffix}")
        else:
            write_bundle(prefix, few_tensors(), Layout(names_per_block=2))
        intact = read_all(GOLDEN) if golden else few_tensors()
        for suffix in (".index", ".data-00000-of-00001") if target == "both" else (target,):
            file = Path(f"{prefix}{suffix}")
            for change in changes:
                file.write_bytes(damage(file.read_bytes(), *change))
        try:
            read = read_all(prefix)
        except CheckpointError:
            return
        assert sorted(read) == sorted(intact)
        for name, tensor in intact.items():
            assert_same(read[name], tensor)


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_each_single_byte_of_the_golden_files(tmp_path: Path, suffix: str) -> None:
    """A flipped byte in the index is refused unless it is one the reader has no use for; none changes a tensor."""
    intact = read_all(GOLDEN)
    for copied in (".index", ".data-00000-of-00001"):
        shutil.copy(f"{GOLDEN}{copied}", tmp_path / f"m{copied}")
    file = tmp_path / f"m{suffix}"
    data = file.read_bytes()
    harmless = []
    for at in range(len(data)):
        file.write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        try:
            read = read_all(tmp_path / "m")
        except CheckpointError:
            continue
        harmless.append(at)
        assert all(read[name].tobytes() == intact[name].tobytes() for name in intact)
        assert len(read) == len(intact)
    # In the index: the metaindex (13 bytes), its handle (3), the footer's padding (34). In the data: none.
    assert len(harmless) <= (13 + 3 + 34 if suffix == ".index" else 0)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=300), st.booleans())
def test_bytes_of_any_kind_are_no_index(content: bytes, with_magic: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder) / "m"
        Path(f"{prefix}.index").write_bytes(content + table([HEADER])[-8:] if with_magic else content)
        with pytest.raises(CheckpointError):
            TensorBundle.open(prefix)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60), st.binary(max_size=60))
def test_messages_of_any_kind_are_refused_or_sound(header: bytes, entry: bytes) -> None:
    """With right checksums around them."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder) / "m"
        Path(f"{prefix}.data-00000-of-00001").write_bytes(bytes(64))
        for messages in ({b"": header, b"a": entry}, {**HEADER, b"a": entry}):
            Path(f"{prefix}.index").write_bytes(table([messages]))
            try:
                read = read_all(prefix, verify=False)
            except CheckpointError:
                continue
            assert all(tensor.nbytes <= 64 for tensor in read.values())


# Finding the prefix.


def touch_bundle(prefix: Path) -> Path:
    prefix.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".index", ".data-00000-of-00001", ".meta"):
        Path(f"{prefix}{suffix}").touch()
    return prefix


@pytest.mark.parametrize("suffix", ["", ".index", ".data-00000-of-00001", ".meta"])
def test_prefix_by_any_file(tmp_path: Path, suffix: str) -> None:
    prefix = touch_bundle(tmp_path / "UGATIT.model-1000001")
    assert find_prefix(Path(f"{prefix}{suffix}")) == prefix
    assert looks_like_bundle(Path(f"{prefix}{suffix}"))


@pytest.mark.parametrize("name", ["UGATIT.model-{}", "Paprika-{}.ckpt"])
@pytest.mark.parametrize("text_file", [True, False])
def test_newest_step_of_a_folder(tmp_path: Path, name: str, text_file: bool) -> None:
    """By number, not by name, and whatever the text file says."""
    newest = tmp_path / name.format(2000)
    for step in (999, 2000, 1000):
        touch_bundle(tmp_path / name.format(step))
    if text_file:
        (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{name.format(999)}"\n')
        assert find_prefix(tmp_path / "checkpoint") == newest
    assert find_prefix(tmp_path) == newest
    assert looks_like_bundle(tmp_path)


def test_folders_of_an_unpacked_archive(tmp_path: Path) -> None:
    model = "UGATIT_selfie2anime_lsgan_4resblock_6dis_1_1_10_10_1000_sn_smoothing"
    prefix = touch_bundle(tmp_path / "100_epoch" / "checkpoint" / model / "UGATIT.model-1000001")
    touch_bundle(tmp_path / "__MACOSX" / "100_epoch" / "UGATIT.model-9999999")
    touch_bundle(prefix.parent / "._UGATIT.model-2000000")
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path, tmp_path / "100_epoch", prefix.parent.parent, prefix.parent):
        assert find_prefix(folder) == prefix
        assert looks_like_bundle(folder)


@pytest.mark.parametrize(
    ("first", "second"),
    [("a/UGATIT.model-1", "b/UGATIT.model-1"), ("UGATIT.model-1", "other-2"), ("m-1", "m"), ("a/m-1", "b/c/m-1")],
)
def test_several_models_are_listed(tmp_path: Path, first: str, second: str) -> None:
    touch_bundle(tmp_path / first)
    touch_bundle(tmp_path / second)
    with pytest.raises(CheckpointError) as caught:
        find_prefix(tmp_path)
    assert first in str(caught.value)
    assert second in str(caught.value)
    assert looks_like_bundle(tmp_path)


def test_a_folder_with_a_model_of_its_own_is_not_searched_further(tmp_path: Path) -> None:
    prefix = touch_bundle(tmp_path / "UGATIT.model-1")
    touch_bundle(tmp_path / "older" / "UGATIT.model-2")
    assert find_prefix(tmp_path) == prefix


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "m-1.data-00000-of-00001").touch()
    (tmp_path / ".index").touch()
    deep = touch_bundle(tmp_path / "1" / "2" / "3" / "4" / "m-1").parent
    cases = {
        tmp_path / "photo.jpg": "found a file of another kind",
        tmp_path / "nothing": "found no such file or folder",
        tmp_path / "m-1.data-00000-of-00001": "m-1.index: expected the checkpoint's index, found no such file",
        tmp_path / "m-2.index": "m-2.index: expected the checkpoint's index",
        tmp_path: "in it or up to 3 folders down, found none",
        tmp_path / ("x" * 300): "can't be read (File name too long)",
    }
    for path, complaint in cases.items():
        with pytest.raises(CheckpointError, match=re.escape(complaint)):
            find_prefix(path)
    assert find_prefix(deep.parent) == deep / "m-1"
    for path in (
        tmp_path / "photo.jpg",
        tmp_path / "nothing",
        tmp_path,
        tmp_path / "m-2.index",
        tmp_path / ("x" * 300),
    ):
        assert not looks_like_bundle(path)


def test_reading_needs_no_torch() -> None:
    """The command line looks at checkpoints before it knows whether it will need torch."""
    import subprocess

    code = "import sys, ugatit_fast.tensor_bundle; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0


@pytest.mark.parametrize("rows", [1, 3, 7, 100])
def test_rows_are_the_tensor_in_pieces(tmp_path: Path, rows: int) -> None:
    bits = np.arange(28, dtype=np.uint16).reshape(7, 4)
    tensors = {"brain": bits, "double": np.arange(7.0), "nothing": np.zeros((0, 3), np.float32)}
    layout = Layout(padding=1, bfloat16=frozenset({"brain"}))
    with TensorBundle.open(write_bundle(tmp_path / "m", tensors, layout)) as bundle:
        for name in ("brain", "double"):
            pieces = list(bundle.read_rows(name, rows))
            assert [len(piece) for piece in pieces[:-1]] == [rows] * (len(pieces) - 1)
            np.testing.assert_array_equal(np.concatenate(pieces), bundle.read(name))
        assert list(bundle.read_rows("nothing", rows)) == []


def test_rows_of_a_scalar_or_of_a_file_that_shrank(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "m", {"scalar": np.float32(1.0), "vector": np.zeros(9, np.float32)})
    with TensorBundle.open(prefix) as bundle:
        with pytest.raises(CheckpointError, match="found a scalar"):
            list(bundle.read_rows("scalar", 1))
        data = Path(f"{prefix}.data-00000-of-00001")
        data.write_bytes(data.read_bytes()[:20])
        with pytest.raises(CheckpointError, match="found it shorter"):
            list(bundle.read_rows("vector", 4))
