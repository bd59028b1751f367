from benchmarks.eight_bits import contenders
from ugatit_fast.bench.contenders import PLAIN_ORT


def test_the_race_has_both_precisions_of_ours_and_what_the_tools_make() -> None:
    ours = [(one.name, one.precision) for one in contenders() if one.kind == "ours"]
    assert ("ugatit-fast, onnxruntime", "fp32") in ours
    assert ("ugatit-fast, onnxruntime, int8", "int8") in ours
    assert ("ugatit-fast, openvino, int8", "int8") in ours
    rivals = {one.name: one.precision for one in contenders() if one.kind == "rival"}
    assert rivals[PLAIN_ORT] == "fp32"
    assert rivals["ONNX Runtime, quantize_static"] == "int8"
    assert rivals["OpenVINO, NNCF's defaults"] == "int8"
