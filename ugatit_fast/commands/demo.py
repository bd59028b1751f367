"""`ugatit-fast demo`."""

from pathlib import Path
from typing import Annotated

from ugatit_fast.choices import Loading
from ugatit_fast.commands.arguments import Output, options, say

LOADING = Loading()


def demo(
    output: Output = Path("demo"),
    *,
    loading: Annotated[Loading, options(without=["threads", "tune", "trust_plan", "style"])] = LOADING,
) -> None:
    """Translate sample photos with the small engine in the package.

    ```
    ugatit-fast demo
    ugatit-fast demo pictures --device cpu
    ```

    Parameters
    ----------
    output
        The folder for the pictures; made if missing.
    """
    from ugatit_fast.machine import pip_install
    from ugatit_fast.translate.demo import run_demo

    result = run_demo(output, say, loading.device)
    for stage, seconds in result.seconds.items():
        print(f"{stage:22} {seconds:7.2f} s")
    print(f"look at {result.page}")
    say("next: ugatit-fast weights lists the networks that are known, selfie2anime among them; with one, or your own:")
    say(f"      {pip_install('cpu', 'torch')}   (once, for building engines)")
    say("      ugatit-fast translate WEIGHTS PHOTO")
