"""The Inception network, with the names and shapes of the published weights, and the file that holds them."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ugatit_fast.errors import InputError
from ugatit_fast.train.evaluation import inception_file
from ugatit_fast.train.evaluation.inception import CLASSES, WIDTH, BlockA, BlockE, ConvNorm, Inception
from ugatit_fast.train.evaluation.inception_file import NAME, find_inception
from ugatit_fast.weights import web

PUBLISHED = Path(__file__).parents[2] / "data" / "inception_2015_12_05.txt"
CONTENT = b"weights" * 1000
LEAST_SIDE = 107
"""Pixels; the network takes 299, and this makes do with a tenth of the work."""


def quiet(_: str) -> None:
    pass


def shake(network: nn.Module) -> None:
    """Weights and normalisations as after training: a signal lives through all layers, and each part of one shows."""
    torch.manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight.data, layer.running_var):
                tensor.uniform_(0.5, 2)
            for tensor in (layer.bias.data, layer.running_mean):
                tensor.normal_()
    network.eval()


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Every tensor of the published file."""
    shapes: dict[str, tuple[int, ...]] = {"fc.weight": (CLASSES, WIDTH), "fc.bias": (CLASSES,)}
    for line in PUBLISHED.read_text().splitlines()[1:]:
        name, *numbers = line.split()
        shape = tuple(map(int, numbers))
        shapes[f"{name}.conv.weight"] = shape
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.bn.{part}"] = shape[:1]
        shapes[f"{name}.bn.num_batches_tracked"] = ()
    return shapes


def conv_norm(x: Tensor, layer: ConvNorm, padding: tuple[int, int]) -> Tensor:
    """By the formula, from the layer's tensors."""
    y = F.conv2d(x, layer.conv.weight, padding=padding)
    norm = layer.bn
    mean, variance, scale, shift = (
        t[:, None, None] for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias) if t is not None
    )
    return ((y - mean) / (variance + 0.001).sqrt() * scale + shift).clamp(min=0)


def test_names_and_shapes_are_the_published_ones() -> None:
    with torch.device("meta"):
        network = Inception()
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == published_shapes()


def test_the_published_file_is_as_large_as_these_tensors_and_their_names() -> None:
    """Our knowledge of its size and of its shapes come from different places."""
    numbers = sum(torch.Size(shape).numel() for shape in published_shapes().values())
    assert 0 < inception_file.SIZE_BYTES - 4 * numbers < 100_000


def test_features_are_2048_wide_and_of_each_picture_alone() -> None:
    network = Inception()
    shake(network)
    pictures = torch.rand(2, 3, LEAST_SIDE, LEAST_SIDE) * 2 - 1
    with torch.inference_mode():
        both, second = network(pictures), network(pictures[1:])
    assert both.shape == (2, WIDTH)
    torch.testing.assert_close(both[1:], second, rtol=0, atol=1e-3 * both.mean().item())
    assert (both[0] - both[1]).abs().mean() > 0.01 * both.mean()


@torch.inference_mode()
def test_a_block_is_its_four_branches() -> None:
    block = BlockA(6, 5)
    shake(block)
    x = torch.randn(1, 6, 7, 9)
    around = F.pad(torch.ones(1, 1, 7, 9), (1, 1, 1, 1))
    neighbours = F.conv2d(around, torch.ones(1, 1, 3, 3))  # 9 inside, 6 at the border, 4 in the corners
    mean = F.conv2d(F.pad(x, (1, 1, 1, 1)), torch.ones(6, 1, 3, 3), groups=6) / neighbours
    fives = conv_norm(conv_norm(x, block.branch5x5_1, (0, 0)), block.branch5x5_2, (2, 2))
    threes = conv_norm(conv_norm(x, block.branch3x3dbl_1, (0, 0)), block.branch3x3dbl_2, (1, 1))
    threes = conv_norm(threes, block.branch3x3dbl_3, (1, 1))
    expected = [conv_norm(x, block.branch1x1, (0, 0)), fives, threes, conv_norm(mean, block.branch_pool, (0, 0))]
    torch.testing.assert_close(block(x), torch.cat(expected, dim=1), rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_the_last_block_pools_by_maximum() -> None:
    """An oddity of that graph; the one before it averages."""
    x = torch.randn(1, 4, 5, 5)
    largest = F.pad(x, (1, 1, 1, 1), value=-torch.inf).unfold(2, 3, 1).unfold(3, 3, 1).amax(dim=(4, 5))
    for by_maximum in (True, False):
        block = BlockE(4, by_maximum)
        shake(block)
        same = torch.allclose(block(x)[:, -192:], conv_norm(largest, block.branch_pool, (0, 0)), atol=1e-5)
        assert same == by_maximum
    network = Inception()
    assert network.Mixed_7c.pool(x).equal(largest)
    assert not network.Mixed_7b.pool(x).equal(largest)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that a download would make."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "ugatit-fast" / NAME


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """Stands in for the published address; what it sends can be changed, and what it promises is CONTENT."""
    sends = {"body": CONTENT}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if sends["body"] else 404)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(sends["body"])

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(web, "TEST_SERVERS", {f"http://127.0.0.1:{listening.server_port}"})
        monkeypatch.setattr(inception_file, "URL", f"http://127.0.0.1:{listening.server_port}/{NAME}")
        monkeypatch.setattr(inception_file, "SHA256", hashlib.sha256(CONTENT).hexdigest())
        yield sends
        listening.shutdown()


def test_another_file_is_refused_with_its_digest(tmp_path: Path) -> None:
    other = tmp_path / NAME
    other.write_bytes(CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    with pytest.raises(InputError, match=rf"isn't the published Inception.*{inception_file.SHA256}, got {digest}"):
        find_inception(other, download=False, say=quiet)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        find_inception(tmp_path / "missing.pth", download=True, say=quiet)


def test_nothing_is_fetched_unasked(cache: Path, server: dict[str, bytes]) -> None:
    with pytest.raises(InputError, match=r"--inception.*--download \(95\.6 MB\)"):
        find_inception(None, download=False, say=quiet)
    assert not cache.exists()


def test_a_download_says_what_it_does_and_happens_once(cache: Path, server: dict[str, bytes]) -> None:
    lines: list[str] = []
    assert find_inception(None, download=True, say=lines.append) == cache
    assert cache.read_bytes() == CONTENT
    assert all(part in lines[0] for part in (inception_file.URL, "95.6 MB", str(cache)))
    server["body"] = b""
    assert find_inception(None, download=True, say=lines.append) == cache
    assert len(lines) == 1


def test_a_download_that_was_damaged_since_is_found_out(cache: Path, server: dict[str, bytes]) -> None:
    find_inception(None, download=True, say=quiet)
    cache.write_bytes(CONTENT[1:])
    with pytest.raises(InputError, match="delete it, and fetch it again"):
        find_inception(None, download=True, say=quiet)


@pytest.mark.parametrize(
    ("body", "message"),
    [(CONTENT[:-1] + b"?", "isn't the published"), (CONTENT[:500], "cannot fetch|isn't the published"), (b"", "404")],
    ids=["other bytes", "cut off", "not found"],
)
def test_a_download_gone_wrong_leaves_nothing(cache: Path, server: dict[str, bytes], body: bytes, message: str) -> None:
    server["body"] = body
    with pytest.raises(InputError, match=message):
        find_inception(None, download=True, say=quiet)
    left = {file.suffix or file.name for file in cache.parent.rglob("*") if file.is_file()}
    assert left <= {".lock", ".part"}, "what the next download goes on from"
