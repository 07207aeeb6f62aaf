"""OpenAI's chat completions: the wire that every compatible provider speaks, each with its own quirks.

The quirks that this dialect reads: `reasoning` (takes an effort, refuses sampling), `effort_none`, `effort_minimal`,
`effort_xhigh`, `effort_max`, `max_tokens` (the old name of the limit), `no_developer` (knows only `system`),
`no_stream_options`, `json_object` (no schemas), `top_k`, `identity` (takes a user's hash and a cache key), `nine`
(call ids of nine characters), `replay_reasoning` (wants its reasoning back within a tool turn), `reasoning_details`
(OpenRouter's words for reasoning, in which it is asked for and sent back), `strict_web_search` (a 400 where a search stands
beside other tools, instead of going without).
"""

from gateway.llm.dialects.openai_chat.answers import read_answer, reader
from gateway.llm.dialects.openai_chat.inbound import read_request
from gateway.llm.dialects.openai_chat.outbound import write_request
from gateway.llm.dialects.openai_chat.untouched import forward, trimmer, usage_of, watcher
from gateway.llm.dialects.openai_chat.writing import write_answer, writer
from gateway.llm.dialects.openai_errors import read_error
from gateway.llm.dialects.openai_models import read_count, write_count, write_models

__all__ = [
    "forward",
    "read_answer",
    "read_count",
    "read_error",
    "read_request",
    "reader",
    "trimmer",
    "usage_of",
    "watcher",
    "write_answer",
    "write_count",
    "write_models",
    "write_request",
    "writer",
]
