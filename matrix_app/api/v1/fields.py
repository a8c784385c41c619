"""`fields=id,name`: only some fields of a row, or of each row of a list. Any GET understands it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, get_args

import orjson
from fastapi import Request, Response
from pydantic import BaseModel

from services.core.errors import InvalidFilter

NAME = "fields"
ROWS = "data"  # where a list keeps its rows
_NAMES_CHARACTERS_MAX = 1_000


class UnknownField(InvalidFilter):
    code = "unknown_field"
    title = "The answer has no such field"


class Selectable:
    """The fields of answers of one model: of its rows when it is a list, else of itself."""

    def __init__(self, model: type[BaseModel]) -> None:
        rows = model.model_fields.get(ROWS)
        self.row = _item(rows.annotation) if rows else None
        self.names = tuple((self.row or model).model_fields)
        self._known = frozenset(self.names)

    @classmethod
    def of(cls, model: Any) -> Selectable | None:
        """None for an operation that answers with no model."""
        return cls(model) if isinstance(model, type) and issubclass(model, BaseModel) else None

    @property
    def parameter(self) -> dict[str, Any]:
        """For the OpenAPI document."""
        whose = "of each row" if self.row else "of the answer"
        return {
            "in": "query",
            "name": NAME,
            "required": False,
            "description": f"Only these fields {whose}, with commas between: {', '.join(self.names)}",
            "schema": {
                "type": "array",
                "items": {"type": "string", "enum": list(self.names)},
                "minItems": 1,
            },
            "style": "form",
            "explode": False,
            "example": list(self.names[:2]),
        }

    def wanted(self, request: Request) -> frozenset[str] | None:
        """What was asked for; None for everything. Raises UnknownField, with the list of what there is."""
        if b"fields=" not in request.scope["query_string"]:
            return None
        said = request.query_params.getlist(NAME)
        if not said:  # it was the end of another name
            return None
        text = ",".join(said)
        asked = [name.strip() for name in text[:_NAMES_CHARACTERS_MAX].split(",")]
        unknown = [name for name in asked if name not in self._known]
        if unknown or len(text) > _NAMES_CHARACTERS_MAX:
            raise UnknownField(
                f"There is no field {unknown[0][:64]!r} here." if unknown else "That is no list of fields.",
                field=NAME,
                next_step=f"Choose among: {', '.join(self.names)}.",
                fields=list(self.names),
            )
        return frozenset(asked)

    def only(self, wanted: frozenset[str], response: Response) -> Response:
        """`response` with nothing but the fields wanted. Raises InvalidFilter for an answer that is not JSON."""
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            return response
        if not response.headers.get("content-type", "").startswith("application/json"):
            raise InvalidFilter(
                "Fields can be chosen of JSON answers only.",
                field=NAME,
                next_step="Leave `fields` out, or ask for JSON.",
                code="invalid_input",
            )
        document = orjson.loads(bytes(response.body))
        if self.row is None:
            document = _part(document, wanted)
        else:
            document[ROWS] = [_part(row, wanted) for row in document[ROWS]]
        response.body = orjson.dumps(document)
        response.headers["content-length"] = str(len(response.body))
        return response


def _part(row: dict[str, Any], wanted: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in wanted}


def _item(annotation: Any) -> type[BaseModel] | None:
    """What a list holds."""
    found = get_args(annotation)
    return found[0] if found and isinstance(found[0], type) and issubclass(found[0], BaseModel) else None
