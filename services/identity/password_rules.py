"""Which passwords are too easy to guess. Pure; a small set of rules of our own, no list of leaked passwords.

Words that everybody tries, sequences, years, repetitions and what is known of the person count as one character
each, whatever their length: programs that guess try them as a whole. What is left must not be too short.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from services.core.errors import Invalid

CHARACTERS_MIN = 10
UNKNOWN_MIN = 6  # characters, as counted above
_RUN_MIN = 3  # abc, 321, qwe: shorter ones are in any text
_OWN_CHARACTERS_MIN = 3
_JUDGED_CHARACTERS_MAX = 256  # of any text, after folding: one character can unfold into eighteen

_FAMOUS = """
password passwort passord contrasena motdepasse parola senha wachtwoord administrator admin root user
guest test welcome willkommen bienvenue hello letmein changeme change default login access master secret
private please iloveyou iloveu loveyou love sunshine princess dragon monkey shadow superman batman
spiderman pokemon starwars football baseball basketball soccer hockey liverpool arsenal chelsea barcelona
juventus summer winter spring autumn january february march april june july august september october
november december monday tuesday wednesday thursday friday saturday sunday michael jordan charlie daniel
thomas jessica ashley michelle flower freedom whatever trustno computer internet samsung iphone google
facebook killer ninja mustang ferrari porsche cookie banana cheese chocolate family mother angel jesus
america london berlin paris matrix correcthorsebatterystaple thequickbrownfox
"""
_WORDS = frozenset(_FAMOUS.split())
_ROWS = ("abcdefghijklmnopqrstuvwxyz", "0123456789", "1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop",
         "yxcvbnm", "azertyuiop", "qsdfghjklm", "1qaz2wsx3edc4rfv5tgb", "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0",
         "qazwsxedcrfvtgb", "zaq12wsxcde34rfv", "147258369", "741852963")  # fmt: skip
_DISGUISES = str.maketrans("@4831!05$7", "aabeiiosst")
_YEAR = re.compile(r"(?:19|20)\d\d")
_REPEATED = re.compile(r"(.{1,4}?)\1{2,}")
_ONE = "\0"  # stands for a part that counts as one character; no password has it


def require_unguessable(password: str, *, known: Iterable[str]) -> None:
    """Raises Invalid for a password that is short or easy to guess. `known` is what is known of its owner.

    Judges no more than the beginning of a long one: this runs where nothing else does meanwhile.
    """
    if len(password) < CHARACTERS_MIN:
        raise Invalid(
            f"The password has {len(password)} characters; at least {CHARACTERS_MIN} are needed.",
            field="password",
            next_step="Use a longer one: a few words together are easy to remember.",
            code="password_too_short",
        )
    folded = _folded(password)
    own = [part for text in known for part in _parts(text)]
    if _unknown(folded, own) >= UNKNOWN_MIN:
        return
    if own and _unknown(folded, []) >= UNKNOWN_MIN:
        raise Invalid(
            "This password is little more than your name or address.",
            field="password",
            next_step="Choose words that have nothing to do with you.",
            code="password_personal",
        )
    raise Invalid(
        "This password is among the first that are tried by anyone guessing.",
        field="password",
        next_step="Leave out well-known words, sequences, years and repetitions, or add other words to them.",
        code="password_too_common",
    )


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(c for c in decomposed if not unicodedata.combining(c) and c != _ONE)
    return kept[:_JUDGED_CHARACTERS_MAX]


def _parts(text: str) -> list[str]:
    """Words of a name or an address, and the whole."""
    folded = _folded(text)
    words = [folded, *re.split(r"[\W_]+", folded), re.sub(r"[\W_]+", "", folded)]
    return sorted({word for word in words if len(word) >= _OWN_CHARACTERS_MIN}, key=len, reverse=True)


def _unknown(folded: str, own: list[str]) -> int:
    """How many characters are left when each part that a program tries first counts as one."""
    text = _without_words(folded, sorted([*own, *_WORDS], key=len, reverse=True))
    text = _YEAR.sub(_ONE, text)
    left = _REPEATED.sub(_ONE, _without_runs(text))
    return len(left) if len(set(left)) > 2 else min(len(left), 2)


def _without_words(text: str, words: list[str]) -> str:
    """The text with each place of a word, in disguise or not, as one character."""
    disguised = text.translate(_DISGUISES)  # character by character, so that places are the same in both
    for word in words:
        places = [found.start() for found in re.finditer(re.escape(word.translate(_DISGUISES)), disguised)]
        if places:
            text, disguised = (_without_places(each, places, len(word)) for each in (text, disguised))
    return text


def _without_places(text: str, places: list[int], length: int) -> str:
    """`length` characters from each of the places on as one. Places are in order and do not overlap."""
    ends = [0, *(at + length for at in places)]
    return _ONE.join(text[end:at] for end, at in zip(ends, [*places, len(text)], strict=True))


def _without_runs(text: str) -> str:
    """Each stretch that follows a row of the keyboard or the alphabet, forwards or backwards, as one character."""
    out, at = "", 0
    while at < len(text):
        length = _run_at(text, at)
        out += _ONE if length >= _RUN_MIN else text[at]
        at += length if length >= _RUN_MIN else 1
    return out


def _run_at(text: str, at: int) -> int:
    best = 1
    for row in _ROWS:
        for line in (row, row[::-1]):
            start = line.find(text[at : at + 2]) if len(text) > at + 1 else -1
            if start < 0:
                continue
            length = 2
            while at + length < len(text) and line[start + length : start + length + 1] == text[at + length]:
                length += 1
            best = max(best, length)
    return best
