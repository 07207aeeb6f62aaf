"""OpenAI's SDK embeds with every provider that has embeddings; the wire forms are those of Google's and AWS's own clients."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from gateway.llm.app import LLMApp
from gateway.llm.dialects import embeddings
from gateway.llm.dialects.protocol import Json, Options, Reply
from gateway.llm.rows import provider
from gateway.metering.usage import Usage
from tests.dialects import oracles
from tests.llm.gateways import Seen
from tests.llm.scripted import Given, Scripted, driver, scripted, whole

TWO: Json = {"input": ["a", "b"], "dimensions": 8}
ONE: Json = {"input": ["a"], "dimensions": 8}
CONTENT = {"parts": [{"text": "a"}]}
FORMS: dict[str, tuple[str, str, frozenset[str], Json, str, Json]] = {
    "AI Studio": ("gemini", "gemini-embedding-2", frozenset(), TWO, "/models/gemini-embedding-2:batchEmbedContents", {"requests": [
        {"model": "models/gemini-embedding-2", "content": {"parts": [{"text": text}]}, "outputDimensionality": 8} for text in "ab"]}),
    "Vertex, older": ("gemini", "text-embedding-005", frozenset({"vertex"}), TWO, "/publishers/google/models/text-embedding-005:predict",
                      {"instances": [{"content": "a"}, {"content": "b"}], "parameters": {"outputDimensionality": 8}}),
    "Vertex, newer": ("gemini", "gemini-embedding-2", frozenset({"vertex"}), ONE, "/publishers/google/models/gemini-embedding-2:embedContent",
                      {"content": CONTENT, "embedContentConfig": {"outputDimensionality": 8}}),
    "Cohere": ("bedrock-converse", "us.cohere.embed-v4:0", frozenset(), {**TWO, "input_type": "search_query"},
               "/model/us.cohere.embed-v4%3A0/invoke", {"texts": ["a", "b"], "input_type": "search_query", "output_dimension": 8}),
    "Titan": ("bedrock-converse", "amazon.titan-embed-text-v2:0", frozenset(), ONE, "/model/amazon.titan-embed-text-v2%3A0/invoke",
              {"inputText": "a", "dimensions": 8}),
    "Nova": ("bedrock-converse", "amazon.nova-2-multimodal-embeddings-v1:0", frozenset(), ONE,
             "/model/amazon.nova-2-multimodal-embeddings-v1%3A0/invoke", {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {
                 "embeddingPurpose": "GENERIC_INDEX", "text": {"value": "a", "truncationMode": "NONE"}, "embeddingDimension": 8}}),
}  # fmt: skip
ANSWERS: dict[str, tuple[str, Json, list[list[float]], Usage | None]] = {
    "AI Studio": ("gemini", {"embeddings": [{"values": [0.5]}, {"values": [1]}], "usageMetadata": {"promptTokenCount": 14}}, [[0.5], [1]],
                  Usage(14)),
    "AI Studio, uncounted": ("gemini", {"embeddings": [{"values": [0.5]}]}, [[0.5]], None),
    "Vertex, older": ("gemini", {"predictions": [{"embeddings": {"values": [0.5], "statistics": {"token_count": 4, "truncated": False}}}] * 2},
                      [[0.5], [0.5]], Usage(8)),
    "Vertex, newer": ("gemini", {"embedding": {"values": [0.5]}, "usageMetadata": {"promptTokenCount": 11}}, [[0.5]], Usage(11)),
    "Cohere 3": ("bedrock-converse", {"embeddings": [[0.5], [1]], "response_type": "embeddings_floats"}, [[0.5], [1]],
                 None),
    "Cohere 4": ("bedrock-converse", {"embeddings": {"float": [[0.5]]}, "response_type": "embeddings_by_type"}, [[0.5]],
                 None),
    "Titan": ("bedrock-converse", {"embedding": [0.5], "embeddingsByType": {"float": [0.5]}, "inputTextTokenCount": 5}, [[0.5]], Usage(5)),
    "Nova": ("bedrock-converse", {"embeddings": [{"embedding": [0.5], "embeddingType": "TEXT"}]}, [[0.5]], None),
}  # fmt: skip


@pytest.mark.parametrize(("dialect", "model", "quirks", "hub", "path", "body"), FORMS.values(), ids=FORMS)
def test_a_request_takes_each_providers_form(
    dialect: str, model: str, quirks: frozenset[str], hub: Json, path: str, body: Json
) -> None:
    asked = {"model": "e", **hub}
    made = embeddings.provider(dialect).write_request(asked, Options(model=model, quirks=quirks))
    assert (made.path, made.body, list(made.losses)) == (path, body, [])


@pytest.mark.parametrize(("dialect", "body", "vectors", "usage"), ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_is_openais_and_is_metered(
    dialect: str, body: Json, vectors: list[list[float]], usage: Usage | None
) -> None:
    read = embeddings.provider(dialect).read_answer(body, Reply(model="m", prompt_estimate=9))
    assert read["embeddings"] == vectors
    app, upstream = scripted(dialect)
    upstream.answers = [whole(orjson.dumps(body))]
    seen = Seen()
    asked = {"model": "cohere.embed-v4" if "ohere" in str(body) else "amazon.titan-embed", "input": "a"}
    reply = await driver(app, seen).post("/v1/embeddings", asked)
    counted = seen.calls[-1].usage
    assert counted is not None
    assert counted.estimated if usage is None else counted == usage
    with oracles.openai_serving(reply.body, "application/json") as client:
        found = client.embeddings.create(model="e", input="a", encoding_format="float")
        assert [each.embedding for each in found.data] == vectors
        assert found.usage.prompt_tokens == found.usage.total_tokens == counted.input


async def test_the_sdk_gets_the_coded_numbers_that_it_asks_for() -> None:
    app, upstream = scripted("gemini")
    upstream.answers = [whole(b'{"embeddings":[{"values":[0.5,-2,0.1]}]}')]
    asked = {"model": "e", "input": ["a"], "encoding_format": "base64", "user": "me"}
    seen = Seen()
    reply = await driver(app, seen).post("/v1/embeddings", asked)
    with oracles.openai_serving(reply.body, "application/json") as client:
        assert client.embeddings.create(model="e", input="a").data[0].embedding == pytest.approx(
            [0.5, -2, 0.1]
        )
    assert seen.calls[-1].losses == ["user"]


@pytest.mark.parametrize(
    ("wire", "path", "body", "said"),
    [
        ("gemini", "/v1/embeddings", {"input": [[1, 2]]}, "tokens cannot be translated"),
        ("gemini", "/v1/embeddings", {"input": []}, "a list of texts"),
        ("gemini", "/v1/embeddings", {}, "a list of texts"),
        ("bedrock-converse", "/v1/embeddings", {"input": ["a", "b"]}, "one text a request"),
        ("bedrock-converse", "/v1/embeddings", {"model": "meta.llama", "input": "a"}, "not known for embeddings"),
        ("anthropic", "/v1/embeddings", {"input": "a"}, "has no embeddings"),
        ("openai-chat", "/v1beta/models/e:embedContent", {"content": {}}, "without embedContent"),
    ],
)  # fmt: skip
async def test_what_cannot_be_embedded_is_refused(wire: str, path: str, body: Json, said: str) -> None:
    app, upstream = scripted(wire)
    reply = await driver(app).post(path, {"model": "amazon.titan-embed", **body})
    assert reply.status == 400
    assert said in reply.json["error"]["message"]
    assert upstream.asked == []


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"embeddings":[{"values":1}]}', b'{"predictions":[{}]}'])
async def test_an_answer_of_another_form_is_the_providers_failure(body: bytes) -> None:
    app, upstream = scripted("gemini")
    upstream.answers = [whole(body)]
    assert (await driver(app).post("/v1/embeddings", {"model": "e", "input": "a"})).status == 502


async def test_a_providers_refusal_comes_in_openais_terms() -> None:
    app, upstream = scripted("gemini")
    error = b'{"error":{"code":404,"message":"models/e is not found","status":"NOT_FOUND"}}'
    upstream.answers = [Given([error], [(b"content-type", b"application/json")], 404)]
    reply = await driver(app).post("/v1/embeddings", {"model": "e", "input": "a"})
    assert reply.status == 404
    assert "models/e is not found" in reply.json["error"]["message"]


async def test_vertex_is_asked_below_its_project() -> None:
    upstream = Scripted([whole(b'{"embedding":{"values":[0.5]}}')])
    asked: list[str] = []

    class Noting:
        async def send(self, method: str, url: str, **rest: Any) -> Any:
            asked.append(url)
            return await upstream.send(method, url, **rest)

        async def close(self) -> None:
            pass

    one = provider("vertex", project="p", location="eu", api_key="t")
    app = LLMApp(providers={"vertex": one}, client=Noting())
    assert (
        await driver(app).post("/v1/embeddings", {"model": "gemini-embedding-2", "input": "a"})
    ).status == 200
    assert asked[0].endswith(
        "/v1/projects/p/locations/eu/publishers/google/models/gemini-embedding-2:embedContent"
    )
    assert json.loads(upstream.asked[0]) == {"content": CONTENT}
