"""OpenAI's Responses: OpenAI's own models, Azure's, and whoever offers the wire; Codex CLI on the client's side.

Everything is stateless: `store` is false, and reasoning travels encrypted with the conversation.
The quirks that this dialect reads: `reasoning` (thinks: takes an effort, gives encrypted reasoning, refuses sampling),
`effort_none`, `effort_minimal`, `effort_xhigh`, `effort_max`, `identity` (takes a user's hash and a cache key).
"""

from gateway.llm.dialects.openai_errors import read_error
from gateway.llm.dialects.openai_models import read_count, write_count, write_models
from gateway.llm.dialects.openai_responses.answers import read_answer, reader
from gateway.llm.dialects.openai_responses.inbound import read_request
from gateway.llm.dialects.openai_responses.outbound import write_request
from gateway.llm.dialects.openai_responses.untouched import forward, usage_of, watcher
from gateway.llm.dialects.openai_responses.writing import write_answer, writer

__all__ = [
    "forward",
    "read_answer",
    "read_count",
    "read_error",
    "read_request",
    "reader",
    "usage_of",
    "watcher",
    "write_answer",
    "write_count",
    "write_models",
    "write_request",
    "writer",
]
