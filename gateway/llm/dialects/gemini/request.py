"""A hub request as `generateContent`, `streamGenerateContent` or `countTokens`."""

from __future__ import annotations

from urllib.parse import quote

from gateway.errors import BadRequest
from gateway.llm.dialects import names
from gateway.llm.dialects.content import shaped, system_of
from gateway.llm.dialects.gemini.contents import Contents
from gateway.llm.dialects.gemini.models import Family
from gateway.llm.dialects.gemini.settings import Settings
from gateway.llm.dialects.protocol import Json, Options, Outbound, Reply

_CARRIED = frozenset({
    "model", "messages", "system", "tools", "tool_choice", "max_tokens", "stream", "stop_sequences", "temperature",
    "top_p", "top_k", "thinking", "output_config", "output_format",
})  # fmt: skip
_REFUSED = ("container", "mcp_servers")


def write_request(hub: Json, options: Options) -> Outbound:
    with shaped("Messages"):
        return _write(hub, options)


def _write(hub: Json, options: Options) -> Outbound:
    for key in _REFUSED:
        if hub.get(key):
            raise BadRequest(f"{key} works with Anthropic's own servers only, and cannot be sent to Gemini")
    family = Family.of(options.model, options.quirks)
    sent = names.Names(names.GEMINI)
    contents = Contents(family, sent, options.signatures)
    settings = Settings(hub, family, sent, options.quirks)
    body: Json = {"contents": contents.write(hub.get("messages"))}
    if system := [{"text": block["text"]} for block in system_of(hub) if block.get("text")]:
        body["systemInstruction"] = {"parts": system}
    if tools := settings.tools():
        body["tools"] = tools
        if config := settings.tool_config():
            body["toolConfig"] = config
    if not options.count:
        body["generationConfig"] = settings.generation(options.max_output)
    lost = [key for key in hub if key not in _CARRIED and hub[key] is not None]
    model = quote(options.model.removeprefix("models/"), safe="")
    verb, query = _verb(options)
    if options.count and not family.vertex:
        body = {"generateContentRequest": {"model": f"models/{model}", **body}}
    publisher = "/publishers/google" if family.vertex else ""
    return Outbound(
        path=f"{publisher}/models/{model}:{verb}", body=body, query=query, headers={"content-type": "application/json"},
        losses=(*lost, *contents.losses, *settings.losses),
        reply=Reply(model=options.model, names=sent.back, prompt_estimate=options.prompt_estimate,
                    one_call=bool((hub.get("tool_choice") or {}).get("disable_parallel_tool_use"))),
    )  # fmt: skip


def _verb(options: Options) -> tuple[str, dict[str, str]]:
    if options.count:
        return "countTokens", {}
    return ("streamGenerateContent", {"alt": "sse"}) if options.stream else ("generateContent", {})
