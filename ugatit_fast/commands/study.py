"""`ugatit-fast study` and `study result`."""

from pathlib import Path
from typing import Annotated

from cyclopts import App

from ugatit_fast.commands.arguments import options, say
from ugatit_fast.commands.serve import LISTENING, ListeningFlags
from ugatit_fast.commands.tables import show
from ugatit_fast.errors import InputError
from ugatit_fast.serve.settings import ServeSettings
from ugatit_fast.study.options import StudyOptions

study_app = App(name="study")
ASKED = StudyOptions()


@study_app.default
def study(
    *reports: Path,
    asked: Annotated[StudyOptions, options()] = ASKED,
    listening: Annotated[ListeningFlags, options()] = LISTENING,
) -> None:
    """Ask people which method translates best: a page that shows a photo and the methods' pictures, blind and shuffled.

    Answers go to answers.jsonl in each report, with a random number for each browser and nothing else about people. It
    can be stopped and started again. `study result` says what they come to.

    ```
    ugatit-fast study report/
    ugatit-fast study report/ --questions 20 --port 8080
    ```

    Parameters
    ----------
    reports
        Folders from `ugatit-fast compare`, one for each data set.
    """
    if not reports:
        raise InputError("there is nothing to ask about; name a report of ugatit-fast compare")
    from ugatit_fast.study.server import ask_people

    settings = listening.guarded(ServeSettings())
    ask_people(reports, asked, settings, host=listening.host, port=listening.port, say=say)


@study_app.command
def result(*reports: Path, json: Path | None = None) -> None:
    """Say how often each method was chosen, with 95 % intervals, and how far people agree.

    ```
    ugatit-fast study result report/
    ugatit-fast study result selfie2anime/ horse2zebra/ --json study.json
    ```

    Parameters
    ----------
    reports
        Folders that people were asked about, or files of answers.
    json
        Also write all of it to this file.
    """
    from ugatit_fast.study.result import damage_of, describe, result_of, save

    if not reports:
        raise InputError("there is nothing to count; name a report that people were asked about")
    results = [result_of(report) for report in reports]
    show(describe(results))
    for report, found in zip(reports, results, strict=True):
        if found.damaged_lines:
            say(f"warning: {damage_of(report, found.damaged_lines)}")
    if json is not None:
        save(results, json)
