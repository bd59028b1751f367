"""`ugatit-fast doctor`."""

from ugatit_fast.commands.arguments import (
    Flag,
)


def doctor(*, json: Flag = False) -> int:
    """Say what this machine can build and run, and what to install for the rest.

    Exit 1 where something is wrong.

    ```
    ugatit-fast doctor
    ugatit-fast doctor --json
    ```

    Parameters
    ----------
    json
        As JSON, for programs.
    """
    from dataclasses import asdict
    from json import dumps

    from ugatit_fast.backends.doctor import as_text, report

    checks = report()
    print(dumps([asdict(check) for check in checks], indent=2) if json else as_text(checks))
    return 1 if any(check.status == "problem" for check in checks) else 0
