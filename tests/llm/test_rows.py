"""The table of providers, and what a model's name says."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import ConfigError
from gateway.llm.quirks import of_model
from gateway.llm.rows import ROWS, provider
from gateway.llm.signing import AwsSigner, GoogleSigner
from gateway.llm.wires import NAMES, wire

SETTINGS = {"api_key": "k", "region": "us-east-1", "project": "p", "resource": "r"}


@pytest.mark.parametrize("name", ROWS)
def test_every_row_makes_a_provider_whose_dialects_exist(name: str) -> None:
    made = provider(name, **SETTINGS)
    assert made.base_url.startswith(("https://", "http://127.0.0.1"))
    assert "{" not in made.base_url
    assert not made.base_url.endswith("/")
    for dialect in (*made.dialects, *(each for _, spoken in made.by_model for each in spoken)):
        assert wire(dialect).write_request


URLS: list[tuple[str, dict[str, Any], str]] = [
    ("anthropic", {"api_key": "k"}, "https://api.anthropic.com"),
    ("openai", {"api_key": "k"}, "https://api.openai.com/v1"),
    ("azure", {"api_key": "k", "resource": "r"}, "https://r.openai.azure.com/openai/v1"),
    ("vertex", {"project": "p"}, "https://aiplatform.googleapis.com/v1/projects/p/locations/global"),
    ("vertex", {"project": "p", "location": "us-east5"},
     "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5"),
    ("bedrock", {"region": "eu-west-1"}, "https://bedrock-runtime.eu-west-1.amazonaws.com"),
    ("groq", {"api_key": "k", "base_url": "http://127.0.0.1:1/v1/"}, "http://127.0.0.1:1/v1"),
    ("work", {"kind": "openai", "api_key": "k"}, "https://api.openai.com/v1"),
    ("mine", {"dialect": "openai-chat", "base_url": "http://127.0.0.1:1/v1", "api_key": "k"}, "http://127.0.0.1:1/v1"),
    ("ollama", {}, "http://127.0.0.1:11434/v1"),
    ("mine", {"kind": "gemini", "base_url": "https://{host}/v1", "location": "eu", "api_key": "k"},
     "https://aiplatform.eu.rep.googleapis.com/v1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings", "url"), URLS)
def test_base_urls(name: str, settings: dict[str, Any], url: str) -> None:
    assert provider(name, **settings).base_url == url


async def test_credentials_go_where_each_provider_wants_them() -> None:
    async def sent(name: str, **settings: Any) -> dict[bytes, bytes]:
        made = provider(name, **settings).signer.sign("POST", "https://host/", [], b"")
        return dict(made if isinstance(made, list) else await made)

    assert await sent("anthropic", api_key="k") == {b"x-api-key": b"k"}
    assert await sent("gemini", api_key="k") == {b"x-goog-api-key": b"k"}
    assert await sent("azure", api_key="k", resource="r") == {b"api-key": b"k"}
    assert await sent("groq", api_key="k") == {b"authorization": b"Bearer k"}
    assert await sent("bedrock", api_key="k", region="us-east-1") == {b"authorization": b"Bearer k"}
    assert await sent("ollama") == {}
    assert await sent("anthropic", api_key="passthrough") == {}
    assert provider("anthropic", api_key="passthrough").passthrough
    assert isinstance(provider("bedrock", region="us-east-1").signer, AwsSigner)
    assert isinstance(provider("vertex", project="p").signer, GoogleSigner)


DIALECTS = [
    ("vertex", "claude-opus-4-5@20251101", "anthropic", "vertex"),
    ("vertex", "gemini-3.8-pro", "anthropic", "gemini"),
    ("bedrock", "us.anthropic.claude-opus-4-6-v1:0", "anthropic", "bedrock"),
    ("bedrock", "amazon.nova-pro-v1:0", "anthropic", "bedrock-converse"),
    ("openai", "gpt-5.2", "anthropic", "openai-responses"),
    ("openai", "gpt-5.2", "openai-chat", "openai-chat"),
    ("groq", "llama", "openai-responses", "openai-chat"),
]


@pytest.mark.parametrize(("name", "model", "inbound", "spoken"), DIALECTS)
def test_each_model_is_spoken_to_in_its_own_wire(name: str, model: str, inbound: str, spoken: str) -> None:
    assert provider(name, **SETTINGS).dialect(model, inbound) == spoken
    assert spoken in NAMES


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("antropic", {"api_key": "k"}, "did you mean anthropic"),
    ("mine", {"dialect": "openai-chat"}, "base_url"),
    ("mine", {"dialect": "smoke", "base_url": "http://x", "api_key": "k"}, "smoke"),
    ("work", {"kind": "opnai", "api_key": "k"}, "did you mean openai"),
    ("openai", {}, "api_key"),
    ("bedrock", {}, "region"),
    ("bedrock", {"base_url": "http://127.0.0.1:1"}, "region"),
    ("vertex", {}, "project"),
    ("azure", {"api_key": "k"}, "resource"),
]


@pytest.mark.parametrize(("name", "settings", "said"), WRONG)
def test_what_is_missing_or_misspelt_is_said(name: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        provider(name, **settings)


MODELS = [
    ("gpt-4.1", set()),
    ("gpt-5-chat-latest", set()),
    ("gpt-5-mini-2025-08-07", {"reasoning", "effort_minimal"}),
    ("gpt-5.1-codex-max", {"reasoning", "effort_xhigh"}),
    ("openai/gpt-5.2", {"reasoning", "effort_none", "effort_xhigh"}),
    ("gpt-6-astra", {"reasoning", "effort_none", "effort_xhigh", "effort_max"}),
    ("o3", {"reasoning"}),
    ("openai.gpt-oss-120b-1:0", {"reasoning"}),
    ("claude-3-7-sonnet-20250219", {"no_adaptive", "no_mid_system"}),
    ("us.anthropic.claude-opus-4-5-20251101-v1:0", {"no_adaptive", "no_mid_system"}),
    ("claude-haiku-4-5@20251001", {"no_adaptive", "no_mid_system"}),
    ("claude-sonnet-4-6", {"no_mid_system"}),
    ("claude-opus-4-7", {"adaptive_only", "no_sampling", "no_mid_system"}),
    ("claude-opus-4-8", {"adaptive_only", "no_sampling"}),
    ("claude-fable-5-2", {"adaptive_only", "no_sampling"}),
    ("claude-mythos-preview", {"adaptive_only", "no_sampling"}),
    ("llama-4", set()),
]


@pytest.mark.parametrize(("model", "quirks"), MODELS)
def test_a_models_name_says_what_it_takes(model: str, quirks: set[str]) -> None:
    assert of_model(model) == quirks
