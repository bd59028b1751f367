"""/docs: the OpenAPI description as a page. FastAPI's own loads its scripts from a CDN; this one works anywhere."""

from collections.abc import Iterator
from html import escape
from string import Template
from typing import Any

from ugatit_fast.serve.problems import PROBLEM_TYPE
from ugatit_fast.serve.uploads import FORM, SUFFIXES

Json = dict[str, Any]
"""A part of an OpenAPI document."""

BINARY = {"schema": {"type": "string", "format": "binary"}}
PROBLEM = {
    "content": {
        PROBLEM_TYPE: {
            "schema": {
                "type": "object",
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                },
            }
        }
    }
}
PROBLEMS: dict[int | str, Json] = {
    400: {"description": "The form isn't as expected, or there is no engine or face detector for it.", **PROBLEM},
    401: {"description": "The API key is missing or wrong.", **PROBLEM},
    408: {"description": "The body came too slowly.", **PROBLEM},
    413: {"description": "The body is too large.", **PROBLEM},
    415: {"description": "The body is of another kind than expected.", **PROBLEM},
    422: {
        "description": "Not a photo, a damaged one, one with too many pixels or without a face; or a query that isn't "
        "understood, or asks for a size that isn't served.",
        **PROBLEM,
    },
    503: {"description": "All places are taken; Retry-After says when to come back.", **PROBLEM},
    504: {"description": "It took too long.", **PROBLEM},
}
PICTURE_ANSWERS: dict[int | str, Json] = {
    200: {"description": "The translation.", "content": dict.fromkeys(SUFFIXES, BINARY)},
    406: {"description": "Accept names no format that translations come in.", **PROBLEM},
    **PROBLEMS,
}
ARCHIVE_ANSWERS: dict[int | str, Json] = {
    200: {"description": "The translations in a zip archive.", "content": {"application/zip": BINARY}},
    **PROBLEMS,
}
PLAIN_ANSWER: dict[int | str, Json] = {
    200: {"description": "As text.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}
READY_ANSWERS: dict[int | str, Json] = {
    **PLAIN_ANSWER,
    503: {"description": "An engine is warming up.", **PROBLEM},
}


def body_of(*kinds: str, several: bool) -> Json:
    name, file = ("files", {"type": "array", "items": BINARY["schema"]}) if several else ("file", BINARY["schema"])
    form = {"schema": {"type": "object", "required": [name], "properties": {name: file}}}
    return {"requestBody": {"required": True, "content": {FORM: form} | dict.fromkeys(kinds, BINARY)}}


PHOTO_BODY = body_of("image/*", "application/octet-stream", several=False)
PHOTOS_BODY = body_of("application/zip", several=True)


def page(description: Json, template: str) -> str:
    """The HTML page of an OpenAPI document.

    template: a `string.Template` with $title, $introduction and $operations.
    """
    info = description["info"]
    operations = [
        section_of(method, path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    return Template(template).substitute(
        title=escape(f"{info['title']} {info['version']}"),
        introduction=escape(info["description"]),
        operations="\n".join(operations),
    )


def section_of(method: str, path: str, operation: Json) -> str:
    summary, _, more = operation.get("description", "").partition("\n\n")
    rows = list(rows_of(operation))
    table = f"<dl>{''.join(rows)}</dl>" if rows else ""
    return (
        f'<section><h2><span class="method">{method.upper()}</span> <code>{escape(path)}</code></h2>'
        f"<p>{escape(summary)}</p>{f'<p>{escape(more)}</p>' if more else ''}{table}</section>"
    )


def rows_of(operation: Json) -> Iterator[str]:
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        values = next((one["enum"] for one in (schema, *schema.get("anyOf", ())) if "enum" in one), ())
        said = (" | ".join(values), parameter.get("description", ""))
        yield row_of(f"?{parameter['name']}=", ". ".join(filter(None, said)))
    for kind in operation.get("requestBody", {}).get("content", ()):
        yield row_of("send", kind)
    for status, answer in sorted(operation["responses"].items()):
        kinds = ", ".join(kind for kind in answer.get("content", ()) if kind != PROBLEM_TYPE)
        yield row_of(status, f"{answer.get('description', '')} {f'({kinds})' if kinds else ''}")


def row_of(term: str, text: str) -> str:
    return f"<div><dt>{escape(term)}</dt><dd>{escape(text)}</dd></div>"
