"""What makes a run a failure: an engine of ours that doesn't work or strays too far. A rival's trouble is a row."""

from ugatit_fast.bench.results import Results, Row


def failures(results: Results, floor_psnr: float | None = None) -> list[str]:
    """A line for each thing wrong with our engines; none where all is well.

    floor_psnr: dB against the float32 reference below which an engine of ours fails; None asks for nothing more than
    the gate of its precision, which every engine has to pass to be timed.
    """
    ours = [row for row in results.rows if row.kind == "ours"]
    lines = [line for row in ours if (line := failure_of(row, floor_psnr))]
    if ours and not any(row.status == "ok" for row in ours) and not lines:
        lines.append("no engine of ours could run here; the notes below the table say why")
    return lines


def failure_of(row: Row, floor_psnr: float | None) -> str | None:
    where = f"{row.contender} ({row.network.label})"
    if row.status not in ("ok", "missing", "skipped"):
        return f"{where}: {row.status}: {row.reason}"
    if floor_psnr is not None and row.psnr_db is not None and row.psnr_db < floor_psnr:
        return f"{where}: PSNR {row.psnr_db:.1f} dB, expected at least {floor_psnr:g}"
    return None
