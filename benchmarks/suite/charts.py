"""Results as SVG, drawn by hand: bars by contender, the roofline, and the curves of the scaling runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10
from xml.sax.saxutils import escape, quoteattr

from ugatit_fast.bench.results import Curve, Network, Results, Row, bandwidth_of, fastest_arithmetic
from ugatit_fast.bench.tables import figure

INK, FAINT, PAPER = "#1f2328", "#d0d7de", "#ffffff"
OURS, RIVAL, LIMIT = "#0969da", "#8c959f", "#cf222e"
PALETTE = (OURS, "#1a7f37", "#bf8700", "#8250df", "#cf222e")
WIDTH = 900
BAR = 22
GAP = 10
LABELS = 330
"""Pixels for the contenders' names."""
FIGURES = 150
"""Pixels for the numbers behind the bars."""
POINT = 5


@dataclass
class Drawing:
    """Elements on paper of a fixed width; y grows downwards."""

    height: int
    title: str
    elements: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, text: str, *, anchor: str = "start", size: int = 13, colour: str = INK) -> None:
        place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
        place += f' stroke="{PAPER}" stroke-width="3" paint-order="stroke"'  # keeps lines away from letters
        self.elements.append(f"<text {place}>{escape(text)}</text>")

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        self.elements.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" fill="{colour}"/>')

    def line(
        self, points: Sequence[tuple[float, float]], colour: str = INK, *, width: float = 1.5, dash: str = ""
    ) -> None:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.elements.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>'
        )

    def point(self, x: float, y: float, colour: str) -> None:
        self.elements.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{POINT}" fill="{colour}"/>')

    def svg(self) -> str:
        size = f'viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}" height="{self.height}"'
        look = f'font-family="system-ui, sans-serif" role="img" aria-label={quoteattr(self.title)}'
        paper = f'<rect width="100%" height="100%" fill="{PAPER}"/>'
        lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} {look}>', paper, *self.elements, "</svg>"]
        return "\n".join(lines) + "\n"


def bars(results: Results, network: Network) -> str:
    """Latency of every contender on one network, fastest first, with p5 to p95 as a whisker and the limit as a line."""
    rows = sorted((row for row in results.rows if row.network == network and row.latency), key=median)
    title = f"{results.machine.name}: {network.label}"
    drawing = Drawing(80 + len(rows) * (BAR + GAP), title)
    drawing.text(16, 28, title, size=16)
    drawing.text(16, 48, "median ms of a call, whisker p5 to p95; shorter is better", colour=RIVAL)
    most = max((row.latency.p95_ms for row in rows if row.latency), default=1.0)
    scale = (WIDTH - LABELS - FIGURES) / most
    limits = {one.precision: one.limit_ms for one in results.rooflines if one.network == network.label}
    for precision, limit_ms in limits.items():
        x, bottom = LABELS + limit_ms * scale, drawing.height - 12
        drawing.line([(x, 58), (x, bottom)], LIMIT, dash="4 3")
        drawing.text(x + 4, bottom + 6, f"limit, {precision}: {figure(limit_ms)} ms", size=11, colour=LIMIT)
    for i, row in enumerate(rows):
        draw_bar(drawing, row, 64 + i * (BAR + GAP), scale)
    return drawing.svg()


def draw_bar(drawing: Drawing, row: Row, y: float, scale: float) -> None:
    assert row.latency is not None
    times, middle = row.latency, y + BAR / 2
    drawing.text(LABELS - 10, middle + 5, f"{row.contender} ({row.precision})", anchor="end")
    drawing.box(LABELS, y, times.median_ms * scale, BAR, OURS if row.kind == "ours" else RIVAL)
    drawing.line([(LABELS + times.p5_ms * scale, middle), (LABELS + times.p95_ms * scale, middle)])
    ratio = f"  {row.times_best_rival:.2f}x" if row.times_best_rival else ""
    drawing.text(LABELS + times.p95_ms * scale + 8, middle + 5, f"{figure(times.median_ms)} ms{ratio}")


def median(row: Row) -> float:
    return row.latency.median_ms if row.latency else 0.0


# Plots with two logarithmic axes ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plot:
    """Where values of two logarithmic axes lie on the paper."""

    x: tuple[float, float]
    """Smallest and largest value."""
    y: tuple[float, float]
    box: tuple[float, float, float, float]
    """Left, top, right, bottom in pixels."""

    @classmethod
    def around(cls, xs: Sequence[float], ys: Sequence[float], box: tuple[float, float, float, float]) -> "Plot":
        """Axes from one power of ten to another that hold all values."""
        return cls(decades(xs), decades(ys), box)

    def at(self, x: float, y: float) -> tuple[float, float]:
        left, top, right, bottom = self.box
        return (
            left + (right - left) * share(x, self.x),
            bottom - (bottom - top) * share(y, self.y),
        )

    def draw_axes(self, drawing: Drawing, x_title: str, y_title: str) -> None:
        left, top, right, bottom = self.box
        for value in powers(self.x):
            x, _ = self.at(value, self.y[0])
            drawing.line([(x, top), (x, bottom)], FAINT, width=1)
            drawing.text(x, bottom + 16, f"{value:g}", anchor="middle", size=11)
        for value in powers(self.y):
            _, y = self.at(self.x[0], value)
            drawing.line([(left, y), (right, y)], FAINT, width=1)
            drawing.text(left - 6, y + 4, f"{value:g}", anchor="end", size=11)
        drawing.text((left + right) / 2, bottom + 34, x_title, anchor="middle", size=12)
        drawing.text(left, top - 8, y_title, size=12)


def decades(values: Sequence[float]) -> tuple[float, float]:
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return 10.0**low, 10.0 ** max(high, low + 1)


def powers(ends: tuple[float, float]) -> list[float]:
    return [10.0**power for power in range(round(log10(ends[0])), round(log10(ends[1])) + 1)]


def share(value: float, ends: tuple[float, float]) -> float:
    return log10(value / ends[0]) / log10(ends[1] / ends[0])


def roofline(results: Results, network: Network) -> str | None:
    """What each contender makes of the operations of the folded graph, under the measured roof; None without one.

    All contenders of a precision do the same work, so they stand above one another.
    """
    limits = [limit for limit in results.limits if limit.network == network.label]
    rows = sorted((row for row in results.rows if row.network == network and row.latency), key=median)
    graphs = {one.precision: one for one in results.rooflines if one.network == network.label}
    bandwidth = bandwidth_of(limits)
    if not graphs or not rows or bandwidth is None:
        return None
    fastest = [limit for one in graphs if (limit := fastest_arithmetic(limits, one)) is not None]
    roofs = {limit.name: limit.operations_per_second or 0.0 for limit in fastest}
    spots = [
        (2 * graphs[row.precision].macs / graphs[row.precision].bytes, rate_of(row, graphs[row.precision].macs), row)
        for row in rows
        if row.precision in graphs
    ]
    ridges = [rate / bandwidth for rate in roofs.values()]
    xs = [*(x for x, _, _ in spots), *ridges, min(ridges) / 10]
    plot = Plot.around(xs, [y / 1e9 for y in [*(y for _, y, _ in spots), *roofs.values()]], (90, 80, 520, 420))
    drawing = Drawing(480, f"{results.machine.name}: roofline, {network.label}")
    drawing.text(16, 28, drawing.title, size=16)
    plot.draw_axes(drawing, "operations per byte of the folded graph", "Gflop/s")
    for rate in roofs.values():
        corners = [(max(plot.x[0], plot.y[0] * 1e9 / bandwidth), 0.0), (rate / bandwidth, rate), (plot.x[1], rate)]
        line = [plot.at(x, max(y or x * bandwidth, 1.0) / 1e9) for x, y in corners]
        drawing.line(line, LIMIT, width=2)
    for i, (intensity, rate, row) in enumerate(spots):
        colour = OURS if row.kind == "ours" else RIVAL
        x, y = plot.at(intensity, rate / 1e9)
        name_y = 92 + 22 * i
        drawing.point(x, y, colour)
        drawing.line([(x + POINT, y), (540, name_y - 4)], FAINT, width=1)
        drawing.text(545, name_y, f"{row.contender} ({row.precision}) {rate / 1e9:.4g}", size=12, colour=colour)
    for name, rate in roofs.items():  # last, so that no line crosses them
        right, y = plot.at(plot.x[1], rate / 1e9)
        drawing.text(right, y - 6, f"{name} {rate / 1e9:.4g}", anchor="end", size=11)
    return drawing.svg()


def rate_of(row: Row, macs: int) -> float:
    """Operations of the direct form a second."""
    return 2 * macs / median(row) * 1e3


AXES = {
    "batch": "images in a batch",
    "side": "side of the picture, pixels",
    "channels": "channels (ch)",
    "threads": "threads",
}


def scaling(results: Results) -> str | None:
    """A small plot an axis: measured points and the fitted line; None where nothing was scaled."""
    axes = list(dict.fromkeys(curve.axis for curve in results.curves))
    if not axes:
        return None
    drawing = Drawing(60 + 330 * ceil(len(axes) / 2), f"{results.machine.name}: scaling")
    drawing.text(16, 28, drawing.title, size=16)
    for i, axis in enumerate(axes):
        curves = [curve for curve in results.curves if curve.axis == axis]
        left, top = 70 + 440 * (i % 2), 80 + 330 * (i // 2)
        box = (left, top, left + 350.0, top + 230.0)
        plot = Plot.around([v for c in curves for v in c.values], [ms for c in curves for ms in c.median_ms], box)
        plot.draw_axes(drawing, AXES[axis], "ms")
        for j, curve in enumerate(curves):
            draw_curve(drawing, plot, curve, PALETTE[j % len(PALETTE)], j)
    return drawing.svg()


def draw_curve(drawing: Drawing, plot: Plot, curve: Curve, colour: str, i: int) -> None:
    fit = [plot.at(v, curve.fixed_ms + curve.ms_per_work * w) for v, w in zip(curve.values, curve.work, strict=True)]
    drawing.line(fit, colour)
    for value, ms in zip(curve.values, curve.median_ms, strict=True):
        drawing.point(*plot.at(value, ms), colour)
    drawing.text(plot.box[0] + 8, plot.box[1] + 16 + 16 * i, curve.contender, size=12, colour=colour)
