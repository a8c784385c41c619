"""Types of what components take. A state's attribute is a plain value to a type checker and a var on the page,
so each of these admits both.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import reflex as rx

Text: TypeAlias = str | rx.Var[str]
Flag: TypeAlias = bool | rx.Var[bool]
Count: TypeAlias = int | rx.Var[int]
Texts: TypeAlias = dict[str, str] | rx.Var[dict[str, str]]
Row: TypeAlias = Any  # one of Rows inside a loop: indexing a var of a dict is beyond what checkers follow
Rows: TypeAlias = list[dict[str, Any]] | rx.Var[list[dict[str, Any]]]
Drawn: TypeAlias = rx.Component | rx.Var[Any]  # what rx.cond and rx.match return is typed as either
