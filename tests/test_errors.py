import pytest

from ugatit_fast.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one"), "one"),
        (ValueError("  one \ntwo"), "one "),
        (ValueError("\n\none\ntwo"), "one"),
        (ValueError(""), "ValueError"),
        (OSError(" \n"), "OSError"),
    ],
)
def test_the_first_line_of_an_error(error: Exception, line: str) -> None:
    assert first_line(error) == line
