"""A study on an address of this machine, until it is told to stop."""

from collections.abc import Sequence
from pathlib import Path

from ugatit_fast.errors import InputError
from ugatit_fast.progress import Say
from ugatit_fast.serve.server import host_app
from ugatit_fast.serve.settings import ServeSettings
from ugatit_fast.study.app import create_app
from ugatit_fast.study.options import StudyOptions
from ugatit_fast.study.questions import open_survey
from ugatit_fast.study.result import damage_of


def ask_people(
    reports: Sequence[Path], options: StudyOptions, settings: ServeSettings, *, host: str, port: int, say: Say
) -> None:
    """Ask about the pictures of reports, each of which keeps its answers, until SIGTERM or Ctrl-C.

    Raises InputError as `open_survey` and `serve.server.serve` do, and for a report that is named twice.
    """
    if len({report.resolve() for report in reports}) < len(reports):
        raise InputError("a report is named twice; name each once")
    surveys = [open_survey(report) for report in reports]
    for survey in surveys:
        answers = survey.answers
        if answers.damaged:
            say(f"warning: {damage_of(answers.path, answers.damaged)}")
        kept = f"; answers so far: {len(answers.latest)}" if answers.latest else ""
        names = ", ".join(method.name for method in survey.methods)
        say(f"{answers.header.data_set}: {len(survey.photos)} photos, {names}{kept}")
    host_app(create_app(settings, surveys, options), settings, "asking people", host=host, port=port, say=say)
