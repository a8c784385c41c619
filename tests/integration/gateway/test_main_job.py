"""The main job: the official client calls a model, and the call is booked with what it cost."""

from __future__ import annotations

from decimal import Decimal

from tests.integration.gateway.house import House

ASK = [{"role": "user", "content": "Say five words."}]


async def test_a_chat_is_answered_and_booked(gateway: House) -> None:
    await gateway.furnish("plain")
    await gateway.price("plain", prompt="1.5", completion="2")
    await gateway.gateway.directory.load()
    ana = await gateway.client()

    answer = await ana.ai.chat.completions.create(model="plain", messages=ASK)  # type: ignore[arg-type]

    assert answer.choices[0].message.content == "w0 w1 w2 w3 w4 "
    assert answer.model == "plain"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 5)
    (row,) = await gateway.rows(ana.organization)
    assert (row["status"], row["prompt_tokens"], row["completion_tokens"]) == (200, 7, 5)
    assert row["key_id"] == ana.key.key.id
    assert row["tokens_source"] == "upstream"
    assert row["cost"] == Decimal("0.0000205")  # 7 * 1.5 + 5 * 2 millionths
    assert await gateway.usage(ana.organization) == {
        "requests": 1,
        "prompt_tokens": 7,
        "completion_tokens": 5,
    }
