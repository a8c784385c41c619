"""The rules of this house that no general linter knows. Each has a stable id and says what to do instead.

`python -m tests.tools.house_rules` prints what it finds and ends with 1 when it finds anything.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ("models", "services", "state", "components", "matrix_app", "tests", "alembic")
CLIENT = {"assets/styles": "*.css", "components/js": "*.js*"}

FILE_LINES_MAX = 400
TEST_FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70

# Who may, and why. A whole folder, a file, or one function in it as `file::name`.
ALLOWED: dict[str, dict[str, str]] = {
    "MX001": {"services/core/": "the unit of work and the relay own their transactions"},
    "MX002": {"services/core/clock.py": "this is the clock"},
    "MX003": {
        "services/gateway/rules.py": "what a call costs is counted in tokens of a bucket, not in money"
    },
    "MX004": {
        "components/tokens.py": "this is where colours live",
        "assets/styles/tokens.css": "what the tokens become",
    },
    "MX007": {
        "components/gallery_examples.py": "made-up content, as in demo data",
        "components/gallery_overlays.py::tabs_examples": "lines of code",
    },
    "MX008": {
        "alembic/versions/": "a migration is one list of tables",
        "components/gallery_examples.py": "a list of examples",
    },
    "MX009": {
        "alembic/versions/": "a migration is one list of tables",
        "components/gallery_forms.py": "a list of examples",
    },
    "MX011": {
        "services/identity/organizations.py": "by the actor's own organisation, or by staff",
        "services/identity/clocks.py::create_test_clock": "by staff, and by the product itself",
        "services/identity/staff.py::add_operator": "the installation's own organisation, for whoever runs the machine",
        "services/identity/keys.py::_own_key": "the key that acts, by the actor's own id",
    },
    "MX012": {
        "services/core/outgoing.py": "this is the one client",
        "services/core/tracing.py": "the collector of MATRIX_OTEL_ENDPOINT, which nobody but the operator names",
        "services/notify/smtp.py": "the server of MATRIX_SMTP_URL, which nobody but the operator names",
        "matrix_app/up/up.py": "asks the process it has started itself whether it is ready",
    },
}


@dataclass(frozen=True)
class Source:
    """One file; `path` is relative to the root, with slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def is_python(self) -> bool:
        return self.path.endswith(".py")

    def within(self, *folders: str) -> bool:
        return self.path.startswith(tuple(f"{folder}/" for folder in folders))


@dataclass(frozen=True, slots=True)
class Fault:
    path: str
    line: int
    code: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.code} {self.what}\n  {RULES[self.code].teaching}"


Found = Iterator[tuple[int, str]]  # line, what


@dataclass(frozen=True, slots=True)
class Rule:
    look: Callable[[Source], Found]
    teaching: str


def faults_of(source: Source) -> list[Fault]:
    """What one file does that is not done here."""
    return [
        Fault(source.path, line, code, what)
        for code, rule in RULES.items()
        for line, what in rule.look(source)
        if not _is_allowed(code, source, line)
    ]


def _is_allowed(code: str, source: Source, line: int) -> bool:
    for place in ALLOWED.get(code, {}):
        path, _, function = place.partition("::")
        if source.path == path or (path.endswith("/") and source.path.startswith(path)):
            inside = [f for f in _functions(source) if f.lineno <= line <= (f.end_lineno or 0)]
            if not function or function in {f.name for f in inside}:
                return True
    return False


def _calls(source: Source) -> Iterator[ast.Call]:
    return (
        (node for node in ast.walk(source.tree) if isinstance(node, ast.Call))
        if source.is_python
        else iter(())
    )


def _functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    if source.is_python:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def _commits(source: Source) -> Found:
    if source.within("services"):
        for call in _calls(source):
            if isinstance(call.func, ast.Attribute) and call.func.attr in {"commit", "rollback"}:
                yield call.lineno, f"{ast.unparse(call.func)}() in a service."


_CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}


def _clocks(source: Source) -> Found:
    if source.within("services", "models", "state"):
        for call in _calls(source):
            name = ast.unparse(call.func)
            if ".".join(name.split(".")[-2:]) in _CLOCKS:
                yield call.lineno, f"{name}() reads a clock."


_MONEY = re.compile(
    r"(?:^|_)(?:cost|price|amount|money|balance|charge|fee|refund|credit|tax|unit_amount)s?(?:_|$)"
)


def _names(node: ast.AST) -> set[str]:
    found = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return found | {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}


def _is_money(names: Iterable[str]) -> bool:
    return any(_MONEY.search(name.lower()) for name in names)


def _makes_float(node: ast.AST | None) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, float)
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "float"


def _floats(source: Source) -> Found:
    if not source.is_python or source.within("tests", "alembic"):
        return
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(args=[value, *_]) if _makes_float(node) and _is_money(_names(value)):
                yield node.lineno, f"{ast.unparse(node)} makes a float of money."
            case ast.AnnAssign(target=target, annotation=kind) if _is_money(_names(target)):
                if "float" in _names(kind) or _makes_float(node.value):
                    yield node.lineno, f"{ast.unparse(target)} is a float."
            case ast.arg(arg=name, annotation=ast.AST() as kind) if _is_money([name]) and "float" in _names(
                kind
            ):
                yield node.lineno, f"{name} is a float."
            case ast.Assign(targets=targets, value=value) if _makes_float(value):
                if any(_is_money(_names(target)) for target in targets):
                    yield node.lineno, f"{ast.unparse(targets[0])} is a float."
            case _:
                pass


_HEX = r"#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})"
_COLOUR_TEXT = re.compile(rf"{_HEX}|(?:rgb|hsl)a?\(.*", re.DOTALL)
_COLOUR_IN_STYLE = re.compile(rf"(?<![\w/(&]){_HEX}(?![\w-])|\b(?:rgb|hsl)a?\(")


def _colours(source: Source) -> Found:
    if source.path.endswith(".css") or source.within("components/js"):
        for number, line in enumerate(source.text.splitlines(), 1):
            if found := _COLOUR_IN_STYLE.search(line):
                yield number, f"{found[0]} is a colour."
    elif source.is_python and source.within("components", "matrix_app", "state"):
        for node in ast.walk(source.tree):
            match node:
                case ast.Constant(value=str(text)) if _COLOUR_TEXT.fullmatch(text.strip()):
                    yield node.lineno, f"{text!r} is a colour."
                case _:
                    pass


_INTERACTIVE = {"button", "a", "input", "select", "textarea", "summary", "option"}


def _element(call: ast.Call) -> str:
    """`p` of `rx.el.p(...)`; empty for any other call."""
    name = ast.unparse(call.func)
    return name.removeprefix("rx.el.") if name.startswith("rx.el.") else ""


def _clicks(source: Source) -> Found:
    for call in _calls(source):
        tag = _element(call)
        if tag and tag not in _INTERACTIVE and any(keyword.arg == "on_click" for keyword in call.keywords):
            yield call.lineno, f"A {tag} that is clicked."


def _handlers(source: Source) -> Found:
    if not source.within("state"):
        return
    for kind in ast.walk(source.tree):
        if not isinstance(kind, ast.ClassDef) or not any(
            ast.unparse(b).endswith("State") for b in kind.bases
        ):
            continue
        for method in kind.body:
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and not method.name.startswith("_"):
                marks = {ast.unparse(mark).partition("(")[0] for mark in method.decorator_list}
                if not marks & {"page_event", "property", "rx.var"}:
                    yield method.lineno, f"{kind.name}.{method.name} may be called by anyone."


_SPOKEN = {"aria_label", "title", "placeholder", "alt"}


def _says_words(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and any(map(str.isalpha, node.value))
    )


def _words(source: Source) -> Found:
    if source.within("components", "matrix_app/pages"):
        for call in _calls(source):
            if _element(call):
                spoken = [keyword.value for keyword in call.keywords if keyword.arg in _SPOKEN]
                for word in filter(_says_words, [*call.args, *spoken]):
                    yield word.lineno, f"{ast.unparse(word)} is not in the catalogue."


def _lengths(source: Source) -> Found:
    lines, most = source.text.count("\n"), TEST_FILE_LINES_MAX if source.within("tests") else FILE_LINES_MAX
    if lines > most and not source.path.endswith(".css"):
        yield most + 1, f"{lines} lines; the most is {most}."


def _function_lengths(source: Source) -> Found:
    for function in _functions(source):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield function.lineno, f"{function.name} has {lines} lines; the most is {FUNCTION_LINES_MAX}."


_NAMELESS = re.compile(r"(?:^|_)(?:utils?|helpers?|common|misc|managers?)$")


def _file_names(source: Source) -> Found:
    stem = Path(source.path).stem
    if _NAMELESS.search(stem):
        yield 1, f"A file called {stem} has no subject."


@cache
def tenant_tables() -> frozenset[str]:
    """Names of the classes in models/ whose rows belong to a tenant."""
    found = set[str]()
    for path in (ROOT / "models").glob("*.py"):
        for kind in ast.walk(ast.parse(path.read_text())):
            if isinstance(kind, ast.ClassDef) and any(
                isinstance(line, ast.AnnAssign)
                and ast.unparse(line.target) == "tenant_column"
                and isinstance(line.value, ast.Constant)
                and line.value.value
                for line in kind.body
            ):
                found.add(kind.name)
    return frozenset(found)


def _look_ups(source: Source) -> Found:
    if source.within("services") and Path(source.path).name != "policies.py":
        for call in _calls(source):
            if ast.unparse(call.func) in {"uow.get", "uow.session.get"} and call.args:
                table = ast.unparse(call.args[0])
                if table in tenant_tables():
                    yield call.lineno, f"A {table} is loaded by its id alone."


# Libraries that are only there to call others; what aiohttp is asked for besides (errors, types) calls nobody.
_CALLING = re.compile(
    r"(?:httpx|requests|urllib3|urllib\.request|http\.client|smtplib|ftplib|websockets|opentelemetry\.exporter)(?:\.|$)"
)
_CONNECTING = re.compile(
    r"(?:ClientSession|TCPConnector|aiohttp\.request|create_connection|open_connection)$"
)


def _calls_outside(source: Source) -> Found:
    if not source.is_python or source.within("tests", "alembic"):
        return
    for node in ast.walk(source.tree):
        match node:
            case ast.Import(names=names):
                modules = [one.name for one in names]
            case ast.ImportFrom(module=str(module), names=names):
                modules = [module, *(f"{module}.{one.name}" for one in names)]
            case ast.Call(func=called) if _CONNECTING.search(ast.unparse(called)):
                yield node.lineno, f"{ast.unparse(called)}() opens a connection."
                continue
            case _:
                continue
        if found := next(filter(_CALLING.match, modules), None):
            yield node.lineno, f"{found} calls other machines."


RULES: dict[str, Rule] = {
    "MX001": Rule(
        _commits,
        "The door that opened the unit of work commits it, with rows and events together. "
        "See docs/decisions/0003-event-log.md.",
    ),
    "MX002": Rule(
        _clocks,
        "Use uow.now, which follows the organisation's test clock, or uow.wall_now for sessions and limits.",
    ),
    "MX003": Rule(
        _floats, "Money is exact: Decimal or Money. A float loses digits, and sums stop adding up."
    ),
    "MX004": Rule(
        _colours,
        "Use a token, var(--...): components/tokens.py has them for every theme, with their contrast computed.",
    ),
    "MX005": Rule(
        _clicks,
        "Use a button, or a link for going somewhere: only those can be reached and used by keyboard and by voice.",
    ),
    "MX006": Rule(
        _handlers,
        "Declare it with page_event and what it needs, or begin its name with an underscore. See state/base.py.",
    ),
    "MX007": Rule(_words, 'Put it into a module of components/texts and write t("its.key").'),
    "MX008": Rule(_lengths, "Split it by what it is about, not by what is left over."),
    "MX009": Rule(_function_lengths, "Give its steps names of their own."),
    "MX010": Rule(_file_names, "Name it for what it is about; what is about many things is several files."),
    "MX011": Rule(
        _look_ups,
        "Go through the field's policies.py: a look-up there names the act, checks it, "
        "and says 'not found' for another tenant's row.",
    ),
    "MX012": Rule(
        _calls_outside,
        "Call through services/core/outgoing.py: guarded_session for addresses that somebody typed, which never lead "
        "inside, inside_session for our own processes.",
    ),
}


def sources() -> Iterator[Source]:
    """Every file that has rules to keep."""
    places = [*((folder, "*.py") for folder in PYTHON), *CLIENT.items()]
    for folder, pattern in places:
        for path in sorted((ROOT / folder).rglob(pattern)):
            yield Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))


def main() -> int:
    """1 when a rule is broken anywhere."""
    found = [fault for source in sources() for fault in faults_of(source)]
    for fault in found:
        print(fault)
    print(f"{len(RULES)} house rules: " + (f"{len(found)} faults." if found else "kept."))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
