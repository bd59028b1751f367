"""A small results file with one of everything."""

from dataclasses import replace

from ugatit_fast.bench.clock import spread
from ugatit_fast.bench.results import (
    COPY,
    PRODUCT,
    SCHEMA_VERSION,
    Condition,
    Curve,
    KernelRow,
    Limit,
    Machine,
    Network,
    Pipeline,
    Results,
    Roofline,
    Row,
    Settings,
    Throughput,
)

NETWORK = Network(
    ch=64, n_res=4, light=True, direction="A2B", height=256, width=256, batch=1, threads=2, weights="random"
)


def timed(name: str, rounds_ms: tuple[float, ...], kind: str = "rival", **changes: object) -> Row:
    row = Row(name, kind, "cpu", "fp32", NETWORK, "ok", latency=spread(rounds_ms), rounds_ms=rounds_ms)  # type: ignore[arg-type]
    return replace(row, images_per_second=1e3 / spread(rounds_ms).median_ms, **changes)  # type: ignore[arg-type]


ROWS = (
    timed(
        "ugatit-fast, onnxruntime",
        (440.0, 442.0, 441.0),
        "ours",
        throughput=Throughput(2, 2.4),
        times_best_rival=1.25,
        share_of_limit=0.9,
        psnr_db=72.0,
        max_abs=1e-5,
        host_peak_bytes=300_000_000,
        build_seconds=9.0,
        load_seconds=0.2,
        file_bytes=42_000_000,
    ),
    timed("MNN, plain <export>", (551.0, 550.0, 549.0), times_best_rival=1.0, share_of_limit=0.7),
    Row("OpenVINO", "rival", "cpu", "fp32", NETWORK, "missing", "openvino not installed", "pip install openvino"),
)

RESULTS = Results(
    schema=SCHEMA_VERSION,
    machine=Machine("2 cores of X", "X", 2, 2**34, None, None, "Linux", {"torch": "2.13"}, "0123456789abcdef", False),
    settings=Settings(),
    started="2026-11-23T04:00:00+00:00",
    seconds=12.5,
    conditions=(Condition("2026-11-23T04:00:00+00:00", 2500.0, 0.5, None, None, None),),
    rows=ROWS,
    limits=(
        Limit(COPY, "cpu", "fp32", NETWORK.label, 2e10, None, (10.0,)),
        Limit(PRODUCT["fp32"], "cpu", "fp32", NETWORK.label, None, 2.4e11, (10.0,)),
    ),
    rooflines=(Roofline(NETWORK.label, "cpu", "fp32", 46_867_415_040, 610_925_920, 397.0),),
    pipelines=(
        Pipeline(
            "ugatit-fast, onnxruntime",
            NETWORK,
            "ok",
            None,
            spread((450.0, 451.0)),
            {"decode": 2.0, "resize": 1.0, "engine": 441.0, "encode": 6.0},
            200,
            2.2,
            0.97,
            310_000_000,
        ),
    ),
    curves=(Curve("ours", "batch", (1, 2, 4), (1.0, 2.0, 4.0), (450.0, 890.0, 1770.0), 10.0, 440.0, 0.01),),
    kernels=(KernelRow("AdaLIN", "1x2x3x4", "eager", "ok", None, 96, spread((1.0, 1.1)), 9.6, 0.5, 1e-7),),
)
