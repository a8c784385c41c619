"""Schemathesis over the whole document, in the name of a key, an owner and staff: no answer breaks what it promises.

A real server answers. Some requests name rows that are there, so that more is tried than how "not found" is said.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings, strategies
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

from models.identity import Organization
from models.types import Role
from services.core.permissions import SCOPE_CAPABILITIES
from services.core.settings import settings as product_settings
from tests.api.conftest import Api
from tests.integration.walk.parameters import OF_THE_HOUSE, THEIRS
from tests.integration.walk.victim import Victim, furnish

EXAMPLES = 3  # of each operation: the same in every run, so more would find nothing new tomorrow
EXAMPLES_DEEP = 100
# `positive_data_acceptance` is left out: a schema does not say which currencies, models or moments there are.
# Without a path, a method or the sign-in being wrong there is nothing to send besides: those have tests of their own.
CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)
REFUSED = ["4XX"]  # 413 is one, too: longer than its schema allows may be longer than anything that is read
LAST = {"sign_out"}  # nothing works after it

load_all_checks()


@pytest.fixture
async def victim(api: Api, environment: pytest.MonkeyPatch) -> Victim:
    environment.setenv("MATRIX_API_REQUESTS_PER_MINUTE", "1000000")
    environment.setenv("MATRIX_API_NETWORK_PER_MINUTE", "1000000")
    product_settings.cache_clear()
    return await furnish(api.world, "Victim")


async def headers_of(who: str, api: Api, victim: Victim, operators: Organization) -> dict[str, str]:
    if who == "key":
        client = await api.key_client(victim.organization, *SCOPE_CAPABILITIES)
        return {"Authorization": client.headers["authorization"]}
    organization, role = (victim.organization, Role.OWNER) if who == "owner" else (operators, Role.OPERATOR)
    client = await api.browser(organization, role)
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    return {"Cookie": cookies, "X-Matrix-CSRF": "1"}


def run(
    document: dict[str, Any], port: int, callers: dict[str, dict[str, str]], victim: Victim, examples: int
) -> str:
    """What is wrong; empty when nothing is. Calls the server, so it needs a thread of its own."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.generation.update(with_security_parameters=False)
    schema.config.checks.negative_data_rejection.expected_statuses = REFUSED
    found: list[Any] = [result.ok() for result in schema.get_all_operations()]  # pyright: ignore[reportAttributeAccessIssue]
    found.sort(key=lambda one: one.definition.raw["operationId"] in LAST)
    checks = [CHECKS.get_one(name) for name in CHECKED]
    wrong: list[str] = []
    for operation in found:
        named = {one.name for one in operation.path_parameters}
        rows = {name: make(victim) for name, make in {**THEIRS, **OF_THE_HOUSE}.items() if name in named}
        cases = [operation.as_strategy(mode) for mode in GenerationMode]
        if rows:
            cases.append(operation.as_strategy(path_parameters=rows))

        @seed(20_260_301)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=[
                HealthCheck.too_slow,
                HealthCheck.filter_too_much,
                HealthCheck.data_too_large,
            ],
        )
        @given(case=strategies.one_of(cases), who=strategies.sampled_from(sorted(callers)))
        def tried(case: Any, who: str) -> None:
            case.call_and_validate(
                base_url=f"http://127.0.0.1:{port}/api/v1", headers=callers[who], checks=checks, timeout=120
            )

        try:
            tried()
        except (FailureGroup, BaseExceptionGroup) as error:
            wrong.append(f"{operation.label}: {'; '.join(str(one) for one in error.exceptions)}")
    return "\n\n".join(wrong)


@pytest.mark.parametrize(
    "examples",
    [
        pytest.param(EXAMPLES, marks=pytest.mark.timeout(900)),
        pytest.param(EXAMPLES_DEEP, marks=[pytest.mark.deep, pytest.mark.timeout(7_200)]),
    ],
)
async def test_no_answer_breaks_what_the_document_promises(
    api: Api, wire: int, victim: Victim, operators: Organization, examples: int
) -> None:
    callers = {who: await headers_of(who, api, victim, operators) for who in ("key", "owner", "operator")}

    wrong = await asyncio.to_thread(run, api.contract.document, wire, callers, victim, examples)

    assert not wrong, wrong
