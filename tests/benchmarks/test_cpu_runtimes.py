"""The graphs that benchmarks/cpu_runtimes.py hands to other runtimes are the network that it says they are."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import onnxruntime
import pytest

from benchmarks.cpu_runtimes import between_planes, contenders, folded_convolutions
from tests.benchmarks.examples import NETWORK
from tests.conftest import LIGHT, random_pictures
from ugatit_fast.bench.contenders import PLAIN_ORT, Case
from ugatit_fast.bench.suite import random_checkpoint
from ugatit_fast.checkpoint import load_generator
from ugatit_fast.export.verify import difference, exact_pictures


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("runtimes")
    network = replace(NETWORK, ch=LIGHT.ch, n_res=LIGHT.n_res, height=32, width=40, batch=2)
    return Case(random_checkpoint(folder, LIGHT), network, folder)


def test_convolutions_and_planes_are_the_reference_network(case: Case) -> None:
    pictures = random_pictures(2, 32, 40)
    expected = exact_pictures(load_generator(case.checkpoint, "A2B"), pictures)

    model = folded_convolutions(case)
    assert not model.functions
    (translated,) = session(model.SerializeToString()).run(None, {"image": pictures})
    assert difference(translated, expected).passes("fp32")

    planes = between_planes(folded_convolutions(case))
    x = pictures.transpose(0, 3, 1, 2) / np.float32(127.5) - np.float32(1)
    (y,) = session(planes.SerializeToString()).run(None, {"image": x})
    assert np.abs(y.transpose(0, 2, 3, 1) - expected).max() < 1e-4


def session(content: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def test_the_race_has_our_engine_and_plain_onnx_runtime_and_functions_that_exist() -> None:
    assert contenders()[0].kind == "ours"
    assert contenders()[1].name == PLAIN_ORT
    for one in contenders():
        for function in (one.build, one.load):
            assert function is not None
            assert callable(getattr(import_module(function.module), function.name))
