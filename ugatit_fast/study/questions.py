"""Who is asked what, and in which order; the same again whenever the same person comes back.

    person, secret of the study -> order of the photos -> for each photo, order of the methods, an id that tells nothing

Orders are drawn with HMAC-SHA256, so that a restart, another Python or another machine draws the same.
"""

import hashlib
import hmac
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ugatit_fast.errors import InputError
from ugatit_fast.study.answers import SCHEMA_VERSION, Answers, Header, new_secret, open_answers
from ugatit_fast.study.blind import alike
from ugatit_fast.study.options import FEWEST_METHODS
from ugatit_fast.study.report import ANSWERS, Comparison, Method, Photo, photo_file, picture_file, read_report


@dataclass(frozen=True)
class Survey:
    """One report that people are asked about."""

    folder: Path
    target_name: str
    methods: tuple[Method, ...]
    photos: tuple[Photo, ...]
    answers: Answers

    @property
    def key(self) -> bytes:
        return bytes.fromhex(self.answers.header.secret)


@dataclass(frozen=True)
class Question:
    """One photo, for one person."""

    id: str
    survey: Survey
    photo: Photo
    order: tuple[int, ...]
    """Of the survey's methods, as they are shown."""

    @property
    def shown(self) -> list[str]:
        return [self.survey.methods[index].name for index in self.order]

    def pictures(self) -> tuple[bytes, list[bytes]]:
        """The photo and the methods' pictures as they are shown, as in `blind.alike`. Raises InputError."""
        folder, photo = self.survey.folder, self.photo
        methods = [self.survey.methods[index] for index in self.order]
        return alike(photo_file(folder, photo), [picture_file(folder, method, photo) for method in methods])


def open_survey(folder: Path) -> Survey:
    """A report with its file of answers, made if missing; asked about are photos that every method made a picture of.

    Raises InputError where there is nothing to ask about, and where answers are there that are about other pictures.
    """
    comparison = read_report(folder)
    methods = comparison.made()
    if not comparison.finished:
        raise InputError(f"{folder} isn't finished; give the same compare command again, and it goes on")
    if len(methods) < FEWEST_METHODS:
        raise InputError(f"{folder} has pictures of {len(methods)} methods; a choice takes {FEWEST_METHODS}")
    refuse_shapes(folder, comparison, methods)
    photos = [photo for photo in comparison.photos if all(comparison.has(method, photo) for method in methods)]
    if not photos:
        raise InputError(f"no photo in {folder} has a picture of every method; compare again")
    header = Header(
        kind="study",
        schema=SCHEMA_VERSION,
        pictures=digest_of(folder, comparison, methods, photos),
        secret=new_secret(),
        data_set=comparison.data_set,
        target_name=comparison.target_name,
        methods=tuple(method.name for method in methods),
        photos=tuple(photo.picture for photo in photos),
    )
    answers = open_answers(folder / ANSWERS, header)
    return Survey(folder, comparison.target_name, tuple(methods), tuple(photos), answers)


def refuse_shapes(folder: Path, comparison: Comparison, methods: Sequence[Method]) -> None:
    """Raises InputError where a picture would give away its method by the part of the photo that it shows."""
    shapes = {method.engine.height / method.engine.width for method in methods if method.engine}
    if comparison.fit == "crop" and len(shapes) > 1:
        raise InputError(
            f"the methods in {folder} cut photos to different shapes, by which people would know them; compare with "
            "--fit squash or --fit pad"
        )


def digest_of(folder: Path, comparison: Comparison, methods: Sequence[Method], photos: Sequence[Photo]) -> str:
    """SHA-256 of all that people are asked: words, names, and the content of every picture. Raises InputError."""
    digest = hashlib.sha256()
    names = [comparison.data_set, comparison.target_name, *(method.name for method in methods)]
    for text in (*names, *(photo.picture for photo in photos)):
        digest.update(hashlib.sha256(text.encode(errors="surrogatepass")).digest())
    for photo in photos:
        for path in (photo_file(folder, photo), *(picture_file(folder, method, photo) for method in methods)):
            try:
                digest.update(hashlib.sha256(path.read_bytes()).digest())
            except OSError as error:
                raise InputError(f"{path} can't be read ({error.strerror or error}); compare again") from error
    return digest.hexdigest()


def questions_of(surveys: Sequence[Survey], person: str, most: int | None) -> list[Question]:
    """All that a person is asked, in order: those of each report shuffled, and spread evenly over the whole."""
    placed = [
        ((place + draw(survey, person, "place", question.photo.picture) / 2**256) / len(survey.photos), question)
        for survey in surveys
        for place, question in enumerate(of_survey(survey, person))
    ]
    placed.sort(key=lambda pair: (pair[0], pair[1].id))
    return [question for _, question in placed[:most]]


def of_survey(survey: Survey, person: str) -> Iterator[Question]:
    """The questions about one report, in a person's order.

    Of the k! orders of k methods a person meets each once before any comes again: each next one is as many further, a
    number that has no divisor in common with k!.
    """
    photos = sorted(survey.photos, key=lambda photo: draw(survey, person, "photo", photo.picture))
    orders = math.factorial(len(survey.methods))
    first, step = draw(survey, person, "first") % orders, 1 + draw(survey, person, "step") % orders
    while math.gcd(step, orders) > 1:
        step += 1
    for place, photo in enumerate(photos):
        order = nth_order((first + place * step) % orders, len(survey.methods))
        yield Question(f"{draw(survey, person, 'id', photo.picture) >> 128:032x}", survey, photo, order)


def draw(survey: Survey, *what: str) -> int:
    """A number below 2^256, as good as random to anyone without the secret."""
    text = "\n".join(what).encode(errors="surrogatepass")
    return int.from_bytes(hmac.digest(survey.key, text, "sha256"))


def nth_order(number: int, count: int) -> tuple[int, ...]:
    """The permutation of 0 ... count - 1 that has `number`, below count!, in their list (factorial number system)."""
    left = list(range(count))
    order = []
    for size in range(count, 0, -1):
        place, number = divmod(number, math.factorial(size - 1))
        order.append(left.pop(place))
    return tuple(order)
