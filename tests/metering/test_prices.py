"""What a call costs. The figures are the dated table's own; a new table may change them (scripts/prices)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigError
from gateway.metering import prices
from gateway.metering.prices import Price, Prices
from gateway.metering.usage import Usage

NAMES = [
    ("anthropic", "claude-sonnet-4-5", 3.0, 15.0),
    ("anthropic", "claude-sonnet-4-5-20250929", 3.0, 15.0),
    ("anthropic", "claude-opus-4-5-20251101", 5.0, 25.0),
    # A regional profile costs a tenth more.
    ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", 3.3, 16.5),
    ("vertex", "claude-sonnet-4-5@20250929", 3.0, 15.0),
    ("gemini", "models/gemini-2.5-pro", 1.25, 10.0),
    ("vertex", "publishers/google/models/gemini-2.5-pro", 1.25, 10.0),
    ("openai", "gpt-5.1", 1.25, 10.0),
    ("groq", "llama-3.3-70b-versatile", 0.59, 0.79),
    ("a-name-of-ours", "claude-haiku-4-5", 1.0, 5.0),
    ("", "GPT-5.1", 1.25, 10.0),
]


@pytest.mark.parametrize(("provider", "model", "input_", "output"), NAMES)
def test_a_model_is_found_by_whatever_name_its_provider_has_for_it(
    provider: str, model: str, input_: float, output: float
) -> None:
    found = Prices().of(model, provider=provider)
    assert found is not None
    assert (found.input, found.output) == (input_, output)


def test_every_kind_of_token_has_its_price() -> None:
    usage = Usage(1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000)
    price = Price(3, 15, 0.3, 3.75, 6)
    assert price.cost(usage) == pytest.approx(28.05)
    # An hour's write is 1.6 times five minutes'.
    assert Price(3, 15, 0.3, 3.75).cost(usage) == pytest.approx(28.05)
    assert Price(3, 15).cost(usage) == pytest.approx(3 + 15 + 3 + 3 + 4.8)


def test_a_long_prompt_makes_all_of_a_call_dearer() -> None:
    price = Price(1, 2, above=((200_000, Price(2, 3)),))
    assert price.cost(Usage(200_000, 1_000_000)) == pytest.approx(0.2 + 2)
    assert price.cost(Usage(1, 1_000_000, cache_read=200_000)) == pytest.approx(2 * 0.200001 + 3)


def test_the_operators_prices_come_first_and_the_first_that_matches_counts() -> None:
    own = Prices({"groq/gpt-oss*": {"input": 1, "output": 2}, "gpt-*": {"input": 7, "output": 8}})
    for provider, model, expected in (
        ("groq", "gpt-oss-120b", 1),
        ("openai", "gpt-5.1", 7),
        ("openai", "o3", 2),
    ):
        found = own.of(model, provider=provider)
        assert found is not None
        assert found.input == expected


def test_an_unknown_model_costs_the_ceiling_and_is_counted() -> None:
    table = Prices(ceiling={"input": 10, "output": 20})
    assert table.cost(Usage(1_000_000, 1_000_000), model="brand-new") == (30.0, False)
    assert table.estimate(Usage(1_000_000), model="brand-new") == 10.0
    assert table.unknown == 1


@given(st.text(max_size=80), st.sampled_from(["", "openrouter", "anthropic", "nobody"]))
def test_no_name_of_another_providers_model_is_free(model: str, provider: str) -> None:
    found = Prices().of(model, provider=provider)
    assert found is None or provider == "openrouter" or found.input + found.output > 0


def test_a_price_of_unknown_kinds_is_refused() -> None:
    with pytest.raises(ConfigError, match="inptu"):
        Prices({"m": {"inptu": 1}})


def test_the_table_says_where_and_when_it_is_from() -> None:
    assert re.fullmatch(r"genai-prices [\d.]+, \d{4}-\d\d-\d\d", prices.dated())
