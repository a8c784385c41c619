"""Each house rule refuses what it is about, lets the right way pass, and is kept by this house."""

from __future__ import annotations

import pytest

from tests.tools.house_rules import ALLOWED, ROOT, RULES, Source, faults_of, sources

STATE = "from state.base import PageState\nclass KeysState(PageState):\n    {mark}\n    async def load(self): ...\n"


def long_function(lines: int) -> str:
    return "def f():\n" + "    x()\n" * (lines - 1)


# rule, file, what is refused, what is not
CASES: list[tuple[str, str, str, str]] = [
    ("MX001", "services/billing/service.py", "await uow.session.commit()", "uow.record(paid)"),
    ("MX001", "services/billing/service.py", "await connection.rollback()", "raise Refused"),
    ("MX002", "services/billing/service.py", "now = datetime.now(UTC)", "now = uow.now"),
    ("MX002", "state/portal/keys.py", "today = datetime.date.today()", "took = time.perf_counter()"),
    ("MX002", "models/money.py", "at = time.time()", "at = clock.now()"),
    ("MX003", "services/billing/rules.py", "shown = float(row.cost)", "shown = float(row.latency)"),
    ("MX003", "models/billing.py", "class A:\n    unit_price: float", "class A:\n    unit_price: Decimal"),
    ("MX003", "services/billing/rules.py", "def pay(amount: float): ...", "def pay(amount: Money): ..."),
    ("MX003", "services/billing/rules.py", "tax = 0.19", "ratio = 0.19"),
    ("MX004", "assets/styles/pages.css", ".a { color: #1F5FA8; }", ".a { color: var(--accent); }"),
    ("MX004", "components/js/chart.jsx", "const line = 'rgb(0, 0, 0)'", "const icon = 'url(#abc)'"),
    ("MX004", "components/charts/chart.py", "line = '#fff'", "line = 'page #3fff and more'"),
    ("MX005", "matrix_app/pages/a.py", "rx.el.div(x, on_click=S.go)", "rx.el.button(x, on_click=S.go)"),
    (
        "MX006",
        "state/portal/keys.py",
        STATE.format(mark="rows: list[str] = []"),
        STATE.format(mark="@page_event(SIGNED_IN)"),
    ),
    (
        "MX006",
        "state/portal/keys.py",
        STATE.format(mark="@rx.event"),
        STATE.replace("load", "_load").format(mark=""),
    ),
    ("MX007", "matrix_app/pages/a.py", "rx.el.p('Hello')", "rx.el.p(t('a.hello'), ' ', '\u00b7')"),
    ("MX007", "components/a.py", "rx.el.div(x, aria_label='Pages')", "rx.el.div(x, class_name='pages')"),
    ("MX008", "services/a/service.py", "x = 1\n" * 401, "x = 1\n" * 400),
    ("MX008", "tests/unit/test_a.py", "x = 1\n" * 601, "x = 1\n" * 600),
    ("MX009", "services/a/service.py", long_function(71), long_function(70)),
    ("MX010", "services/a/utils.py", "", "x"),
    ("MX010", "state/date_helpers.py", "", "x"),
    (
        "MX011",
        "services/a/service.py",
        "await uow.get(ApiKey, key_id)",
        "await policies.key_for(uow, key_id)",
    ),
    ("MX011", "services/a/service.py", "await uow.get(Project, id, lock=True)", "await uow.get(AiModel, id)"),
    ("MX012", "services/a/service.py", "import httpx", "import aiohttp"),
    ("MX012", "services/a/service.py", "from urllib import request", "from urllib.parse import quote"),
    ("MX012", "matrix_app/a.py", "aiohttp.ClientSession()", "outgoing.guarded_session()"),
    ("MX012", "state/a.py", "await asyncio.open_connection(host, 80)", "await sessions.open(host)"),
]


def codes(path: str, text: str) -> set[str]:
    return {fault.code for fault in faults_of(Source(path, text))}


@pytest.mark.parametrize(("code", "path", "bad", "good"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES])
def test_what_is_refused_and_what_is_not(code: str, path: str, bad: str, good: str) -> None:
    assert codes(path, bad) == {code}
    assert codes("services/a/dates.py" if code == "MX010" else path, good) == set()


def test_a_fault_says_where_it_is_and_what_to_do_instead() -> None:
    (fault,) = faults_of(Source("services/billing/service.py", "\n\nnow = datetime.now(UTC)\n"))
    assert str(fault).startswith(
        "services/billing/service.py:3 MX002 datetime.now() reads a clock.\n  Use uow.now,"
    )


def test_an_exception_for_one_function_is_none_for_its_neighbours() -> None:
    text = "".join(
        f"async def {name}(uow):\n    await uow.get(ApiKey, x)\n\n" for name in ("_own_key", "other")
    )
    assert [fault.line for fault in faults_of(Source("services/identity/keys.py", text))] == [5]


def test_every_rule_is_tried_and_every_exception_is_of_something_there() -> None:
    assert {case[0] for case in CASES} == set(RULES)
    for code, places in ALLOWED.items():
        assert code in RULES
        for place, reason in places.items():
            path, _, function = place.partition("::")
            assert (ROOT / path).exists(), place
            assert reason
            if function:
                assert f"def {function}(" in (ROOT / path).read_text()


def test_this_house_keeps_its_rules() -> None:
    faults = [str(fault) for source in sources() for fault in faults_of(source)]
    assert not faults, "\n".join(faults)
