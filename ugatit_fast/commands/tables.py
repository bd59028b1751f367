"""Pages of Markdown on a terminal: as wide as it is, with the tables' most wanted columns where not all fit."""

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

LEAST_WANTED = (
    "file MB", "load s", "build s", "GPU MB", "host MB", "noise", "max d", "PSNR dB", "several callers", "p5 to p95",
    "precision", "network", "of limit", "images/s",
)  # fmt: skip
"""What goes first where a table is too wide, before what stands on the right."""
PADDING = 3
"""Of a column, with the gap to the next."""
FOLDED = 18
"""What a column of words may be folded to."""


def show(page: str, where: str = "") -> None:
    """Print a page: on a terminal as it fits there, elsewhere as it is. where: which file has all of it."""
    console = Console()
    if not console.is_terminal:
        print(page)
        return
    show_on(console, page, where)


def show_on(console: Console, page: str, where: str) -> None:
    """As `show`, on any console."""
    left_out: dict[str, None] = {}
    for block in page.strip().split("\n\n"):
        if block.startswith("|"):
            head, _, *rows = [cells_of(line) for line in block.splitlines()]
            kept = fitting(head, rows, console.width)
            left_out |= dict.fromkeys(name for i, name in enumerate(head) if i not in kept and any(r[i] for r in rows))
            console.print(fitted([head[i] for i in kept], [[row[i] for i in kept] for row in rows]))
        else:
            console.print(Markdown(block))
        console.print()
    if left_out:
        elsewhere = f"; {where} has all" if where else "; a wider terminal shows them"
        console.print(f"left out, for want of width: {', '.join(left_out)}{elsewhere}", style="dim")


def cells_of(line: str) -> list[str]:
    """Of a row of a Markdown table."""
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def plain(cell: str) -> str:
    return cell.removeprefix("**").removesuffix("**")


def fitting(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """The columns that fit beside each other, of those with anything in them; always the first, and one more."""
    kept = [i for i in range(len(head)) if i == 0 or any(row[i] for row in rows)]
    widths = {i: max([longest_word(head[i]), min(FOLDED, longest(row[i] for row in rows))]) for i in kept}
    order = {name: place for place, name in enumerate(LEAST_WANTED)}
    while len(kept) > 2 and sum(widths[i] + PADDING for i in kept) > width:
        kept.remove(min(kept[1:], key=lambda i: (order.get(head[i], len(order)), -i)))
    return kept


def longest_word(text: str) -> int:
    return longest(text.split())


def longest(texts: Iterable[str]) -> int:
    return max((cell_len(plain(text)) for text in texts), default=0)


def fitted(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for i, name in enumerate(head):
        table.add_column(
            Text(name),
            justify="right" if i else "left",
            overflow="fold",
            no_wrap=longest(row[i] for row in rows) <= FOLDED,
        )
    for row in rows:
        table.add_row(*(Text(plain(cell), style="bold" if cell != plain(cell) else "") for cell in row))
    return table
