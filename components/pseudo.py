"""The pseudo-locale: English that looks translated, so that what a translation would break is seen before there is one.

Letters carry accents, a message grows by two fifths and stands in brackets: a text without brackets is not from the
catalogue, a bracket that is cut off had too little room. Placeholders and plural forms stay.
"""

from __future__ import annotations

from components.messages import Message, Number, Placeholder, Plural, parse

LANGUAGE = "en-XA"  # what browsers are told; its plurals and figures are those of English
OPEN, CLOSE = "[", "]"

_PLAIN = "abcdefghiklmnoprstuwyzABCDEFGHIKLMNOPRSTUWYZ"
_ACCENTED = str.maketrans(_PLAIN, "áƀçďéƒğĥíķĺḿńóþřšťúŵýžÁƁÇĎÉƑĞĤÍĶĹḾŃÓÞŘŠŤÚŴÝŽ")
_FILLING = "one two three four five six seven eight nine ten "


def pseudo(text: str) -> str:
    """The message `text` in the pseudo-locale, still a message. Text without letters stays as it is."""
    message = parse(text)
    letters = _letters(message)
    if letters == 0:
        return text
    more = -(-letters * 2 // 5)
    filling = (_FILLING * (more // len(_FILLING) + 1))[:more].strip().translate(_ACCENTED)
    return f"{OPEN}{_accented(message)} {filling}{CLOSE}"


def _letters(message: Message) -> int:
    """Of the longest form, where a plural has several."""
    total = 0
    for part in message:
        if isinstance(part, str):
            total += sum(letter.isalpha() for letter in part)
        elif isinstance(part, Plural):
            total += max(_letters(form) for form in part.forms.values())
    return total


def _accented(message: Message) -> str:
    return "".join(_part(part) for part in message)


def _part(part: str | Placeholder | Number | Plural) -> str:
    if isinstance(part, str):
        return part.translate(_ACCENTED)
    if isinstance(part, Placeholder):
        return f"{{{part.name}}}"
    if isinstance(part, Number):
        return "#"
    forms = " ".join(f"{key} {{{_accented(form)}}}" for key, form in part.forms.items())
    return f"{{{part.name}, plural, {forms}}}"
