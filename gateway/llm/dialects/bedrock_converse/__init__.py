"""Bedrock's Converse: the wire for every model there that is not Claude (Claude goes by `bedrock`). Outbound only.

What a family of models takes is read off its name: `family` lists it. Quirk: `strict_web_search`.
"""

from gateway.llm.dialects.aws_errors import read_error
from gateway.llm.dialects.bedrock import read_count
from gateway.llm.dialects.bedrock_converse.answers import read_answer, reader
from gateway.llm.dialects.bedrock_converse.outbound import write_request

__all__ = ["read_answer", "read_count", "read_error", "reader", "write_request"]
