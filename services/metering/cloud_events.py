"""Usage events in the form of CloudEvents 1.0 in JSON: other names for the same things.

`id` is the event id, `data` the properties. `subject`, whom the event is about, becomes a property of that name
unless the data has one. The extension attributes `model` and `keyid` are what usage is grouped by; all others
are for those on the way.
"""

from __future__ import annotations

from typing import Any, cast

from services.core.errors import Invalid
from services.metering.rules import UsageEventIn, check_text, read_time

VERSION = "1.0"

_REQUIRED = ("specversion", "id", "source", "type", "time")
_TEXTS = ("id", "source", "type", "subject", "model", "keyid")


def read_cloud_event(item: object, at: str) -> UsageEventIn:
    """An event from decoded JSON. `at` names it in refusals, e.g. "events[3]". Raises Invalid."""
    if not isinstance(item, dict):
        raise Invalid("A CloudEvent is a JSON object.", field=at)
    # Null is the same as left out, says the format.
    given = {name: value for name, value in cast("dict[str, Any]", item).items() if value is not None}
    for name in _REQUIRED:
        # The format could do without a time. But one of our own would differ each time the event is sent again.
        if name not in given:
            raise Invalid(f"A CloudEvent needs {name!r} here.", field=f"{at}.{name}")
    if given["specversion"] != VERSION:
        raise Invalid(
            f"CloudEvents are read in version {VERSION}, not {given['specversion']!r:.20}.",
            field=f"{at}.specversion",
        )
    for name in _TEXTS:
        if name in given:
            check_text(given[name], at, name)
    return UsageEventIn(
        source=given["source"],
        event_id=given["id"],
        type=given["type"],
        time=read_time(given["time"], f"{at}.time"),
        properties=_properties(given, at),
        model=given.get("model", ""),
        key_id=given.get("keyid", ""),
    )


def _properties(given: dict[str, Any], at: str) -> dict[str, Any]:
    if "data_base64" in given:
        raise Invalid("Data is a JSON object, not bytes in base 64.", field=f"{at}.data_base64")
    kind = given.get("datacontenttype", "application/json")
    if not _is_json(kind):
        raise Invalid(f"Data is JSON, not {kind!r:.60}.", field=f"{at}.datacontenttype")
    data = given.get("data", {})
    if not isinstance(data, dict):
        raise Invalid("Data is a JSON object.", field=f"{at}.data")
    about = {"subject": given["subject"]} if "subject" in given else {}
    return about | cast("dict[str, Any]", data)


def _is_json(kind: object) -> bool:
    if not isinstance(kind, str):
        return False
    subtype = kind.partition(";")[0].rpartition("/")[2].strip().lower()
    return subtype == "json" or subtype.endswith("+json")
