"""Google's `generateContent`, on AI Studio and on Vertex, towards the provider and from a client.

The provider's base URL ends in `/v1beta`, on Vertex in `/locations/L`. Quirks read here: `vertex`, `no_call_ids` (an old model that refuses functionCall.id), `legacy_schema` (tools as OpenAPI
`parameters`), `strict_web_search` (a 400 where a search stands beside other tools, instead of going without).
"""

from gateway.llm.dialects.gemini.answer import Reader as reader
from gateway.llm.dialects.gemini.answer import read_answer, read_count, read_error
from gateway.llm.dialects.gemini.inbound import read_request
from gateway.llm.dialects.gemini.outgoing import Writer as writer
from gateway.llm.dialects.gemini.outgoing import write_answer, write_count, write_models
from gateway.llm.dialects.gemini.request import write_request
from gateway.llm.dialects.gemini.watch import Watcher as watcher
from gateway.llm.dialects.gemini.watch import forward, usage_of

__all__ = [
    "forward", "read_answer", "read_count", "read_error", "read_request", "reader", "usage_of", "watcher",
    "write_answer", "write_count", "write_models", "write_request", "writer",
]  # fmt: skip
