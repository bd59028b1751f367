"""Rows against what the hardware was measured to do in the same rounds."""

from collections.abc import Sequence
from dataclasses import replace

from ugatit_fast.bench.cost import count, roofline_seconds
from ugatit_fast.bench.limits import copied_bytes, operations_of
from ugatit_fast.bench.networks import config_of
from ugatit_fast.bench.results import COPY, Limit, Roofline, Row, bandwidth_of, fastest_arithmetic
from ugatit_fast.choices import Precision


def against_limits(rows: Sequence[Row]) -> tuple[list[Row], list[Limit], list[Roofline]]:
    """Rows of one race without those of the limits, each with its share of them; the limits; the rooflines."""
    limits = [limit_of(row) for row in rows if row.kind == "limit" and row.rounds_ms]
    runners = [row for row in rows if row.kind != "limit"]
    precisions = dict.fromkeys(row.precision for row in runners if row.latency is not None)
    found = {precision: roofline(runners[0], precision, limits) for precision in precisions}
    judged = [shared(row, found.get(row.precision)) for row in runners]
    return judged, limits, [one for one in found.values() if one is not None]


def limit_of(row: Row) -> Limit:
    seconds = min(row.rounds_ms) / 1e3
    copy = row.contender == COPY
    return Limit(
        name=row.contender,
        target=row.target,
        precision=row.precision,
        network=row.network.label,
        bytes_per_second=copied_bytes(row.target) / seconds if copy else None,
        operations_per_second=None if copy else operations_of(row.contender, row.target) / seconds,
        rounds_ms=row.rounds_ms,
    )


def roofline(row: Row, precision: Precision, limits: Sequence[Limit]) -> Roofline | None:
    """For the network of `row`; None where a limit wasn't measured."""
    bandwidth, fastest = bandwidth_of(limits), fastest_arithmetic(limits, precision)
    if bandwidth is None or fastest is None or fastest.operations_per_second is None:
        return None
    network = row.network
    work = count(config_of(network), network.batch, network.height, network.width, precision)
    return Roofline(
        network=network.label,
        target=row.target,
        precision=precision,
        macs=sum(one.macs for one in work),
        bytes=sum(one.bytes for one in work),
        limit_ms=roofline_seconds(work, bandwidth, fastest.operations_per_second) * 1e3,
    )


def shared(row: Row, limit: Roofline | None) -> Row:
    if limit is None or row.latency is None:
        return row
    return replace(row, share_of_limit=limit.limit_ms / row.latency.median_ms)
