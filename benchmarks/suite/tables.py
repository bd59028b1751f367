"""Results as Markdown."""

from collections.abc import Callable, Sequence

from ugatit_fast.bench.results import AXIS_UNITS, Condition, Limit, Network, Results, Row


def markdown(results: Results) -> str:
    """Everything a results file holds, for people."""
    parts = [f"# {results.machine.name}", context(results)]
    for network in dict.fromkeys(row.network for row in results.rows):
        rows = [row for row in results.rows if row.network == network]
        parts += [f"## {network.label}", limit_lines(results, network), row_table(rows), notes(rows)]
    sections: tuple[tuple[str, Sequence[object], Callable[[Results], str]], ...] = (
        ("Photos, from JPEG to PNG", results.pipelines, pipeline_table),
        ("Scaling", results.curves, curve_table),
        ("Kernels", results.kernels, kernel_table),
    )
    for title, content, table in sections:
        parts += [f"## {title}", table(results)] if content else []
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; every column after the first is to the right."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def context(results: Results) -> str:
    machine = results.machine
    driver = f", driver {machine.driver}" if machine.driver else ""
    memory = f", {machine.memory_bytes / 2**30:.0f} GiB" if machine.memory_bytes else ""
    commit = (
        f"commit {machine.commit[:12]}{' with changes' if machine.dirty else ''}" if machine.commit else "no commit"
    )
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    lines = [
        f"{machine.cpu}, {machine.cores} cores{memory}{driver}; {machine.system}.",
        f"{versions}; {commit}; {results.started}, {results.seconds:.0f} s.",
        f"Clocks and temperature: {'; '.join(map(condition_text, results.conditions))}.",
    ]
    return "  \n".join(lines)


def condition_text(condition: Condition) -> str:
    facts = (
        (condition.cpu_mhz, "CPU {:.0f} MHz"),
        (condition.load_average, "load {:.1f}"),
        (condition.gpu_mhz, "GPU {:.0f} MHz"),
        (condition.gpu_celsius, "{:.0f} °C"),
        (condition.gpu_watts, "{:.0f} W"),
    )
    known = [text.format(value) for value, text in facts if value is not None]
    return f"{condition.when[11:19]} {', '.join(known) or 'unreadable'}"


def limit_lines(results: Results, network: Network) -> str:
    """What the hardware did beside this network, and what that makes of the folded graph."""
    limits = [limit_text(limit) for limit in results.limits if limit.network == network.label]
    rooflines = [
        f"{one.precision}: {one.macs / 1e9:.1f} GMAC, {one.bytes / 1e6:.0f} MB take at least {figure(one.limit_ms)} ms"
        for one in results.rooflines
        if one.network == network.label
    ]
    return f"Measured limits: {'; '.join(limits)}. Folded graph, {'; '.join(rooflines)}." if limits else ""


def limit_text(limit: Limit) -> str:
    if limit.bytes_per_second is not None:
        return f"{limit.name} {limit.bytes_per_second / 1e9:,.1f} GB/s"
    return f"{limit.name} {(limit.operations_per_second or 0) / 1e12:,.3g} Tflop/s"


def row_table(rows: Sequence[Row]) -> str:
    head = (
        "contender",
        "precision",
        "median ms",
        "p5 to p95",
        "images/s",
        "several callers",
        "x best rival",
        "of limit",
        "PSNR dB",
        "max d",
        "host MB",
        "GPU MB",
        "build s",
        "load s",
        "file MB",
    )
    return table(head, [cells(row) for row in rows])


def cells(row: Row) -> list[str]:
    times, many = row.latency, row.throughput
    return [
        f"**{row.contender}**" if row.kind == "ours" else row.contender,
        row.precision,
        f"{figure(times.median_ms)}{' (noisy)' if row.noisy else ''}" if times else row.status,
        f"{figure(times.p5_ms)} to {figure(times.p95_ms)}" if times else "",
        figure(row.images_per_second),
        f"{figure(many.images_per_second)} ({many.callers})" if many else "",
        number(row.times_best_rival, "{:.2f}"),
        number(row.share_of_limit, "{:.0%}"),
        number(row.psnr_db, "{:.1f}"),
        number(row.max_abs, "{:.1g}"),
        number(row.host_peak_bytes, "{:.0f}", 1e6),
        number(row.device_bytes, "{:.0f}", 1e6),
        number(row.build_seconds, "{:.1f}"),
        number(row.load_seconds, "{:.2f}"),
        number(row.file_bytes, "{:.1f}", 1e6),
    ]


def figure(value: float | None) -> str:
    """Three digits, or all of a whole number that has more."""
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def number(value: float | None, text: str, unit: float = 1) -> str:
    return "" if value is None else text.format(value / unit)


def notes(rows: Sequence[Row]) -> str:
    """Why those without figures have none, and what would change that."""
    return "\n".join(
        f"- {row.contender}: {row.status}: {row.reason}" + (f" -> {row.install}" if row.install else "")
        for row in rows
        if row.reason
    )


def pipeline_table(results: Results) -> str:
    stages = list(dict.fromkeys(stage for one in results.pipelines for stage in one.stages_ms or {}))
    head = ("contender", "network", "one photo, ms", *stages, "folder, images/s", "in the engine", "host MB")
    rows = []
    for one in results.pipelines:
        total = figure(one.latency.median_ms) if one.latency else f"{one.status}: {one.reason}"
        each = [figure((one.stages_ms or {}).get(stage)) for stage in stages]
        folder = f"{figure(one.folder_images_per_second)} ({one.folder_photos} photos)" if one.latency else ""
        share, memory = number(one.folder_engine_share, "{:.0%}"), number(one.host_peak_bytes, "{:.0f}", 1e6)
        rows.append([one.contender, one.network.label, total, *each, folder, share, memory])
    return table(head, rows)


def curve_table(results: Results) -> str:
    rows = [
        [
            curve.contender,
            curve.axis,
            ", ".join(f"{value}: {figure(ms)}" for value, ms in zip(curve.values, curve.median_ms, strict=True)),
            f"{figure(curve.fixed_ms)} + {figure(curve.ms_per_work)} per {AXIS_UNITS[curve.axis]}",
            f"{curve.worst_error:.0%}",
        ]
        for curve in results.curves
    ]
    return table(("contender", "against", "median ms", "fit, ms", "worst error"), rows)


def kernel_table(results: Results) -> str:
    head = ("operation", "shape", "contender", "median us", "p5 to p95", "GB/s", "of copy", "error")
    rows = []
    for one in results.kernels:
        times = one.time
        rows.append(
            [
                one.op,
                one.shape,
                one.contender,
                f"{times.median_ms * 1e3:.1f}" if times else f"{one.status}: {one.reason}",
                f"{times.p5_ms * 1e3:.1f} to {times.p95_ms * 1e3:.1f}" if times else "",
                number(one.gigabytes_per_second, "{:.0f}"),
                number(one.share_of_copy, "{:.0%}"),
                number(one.relative_error, "{:.1g}"),
            ]
        )
    return table(head, rows)
