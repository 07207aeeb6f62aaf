"""What an OAuth client needs to know of a protected resource: RFC 9728 documents, and `WWW-Authenticate`.

URLs come from the configuration, never from the Host header.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson
from msgspec import Struct

WELL_KNOWN = "/.well-known/oauth-protected-resource"


class Resource(Struct, frozen=True):
    """`Resource("https://tools.example.com/mcp", authorization_servers=["https://idp.example.com"])`.

    `url` is exactly what users type; a token must be made for it.
    """

    url: str
    authorization_servers: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    documentation: str = ""
    policy: str = ""
    bearer_methods: tuple[str, ...] = ("header",)

    @property
    def metadata_path(self) -> str:
        """The well-known path goes between host and path."""
        path = urlsplit(self.url).path
        return WELL_KNOWN + ("" if path == "/" else path)

    @property
    def metadata_url(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{self.metadata_path}"

    def document(self) -> bytes:
        members: dict[str, Any] = {
            "resource": self.url,
            "authorization_servers": list(self.authorization_servers),
            "scopes_supported": list(self.scopes),
            "bearer_methods_supported": list(self.bearer_methods),
            "resource_documentation": self.documentation,
            "resource_policy_uri": self.policy,
        }
        return orjson.dumps({name: value for name, value in members.items() if value})

    def challenge(self, *, error: str = "", description: str = "", scopes: Sequence[str] = ()) -> str:
        """The value of `WWW-Authenticate`: with 401 where to get a token, with 403 all scopes that are needed."""
        parts = {"error": error, "error_description": description, "scope": " ".join(scopes or self.scopes),
                 "resource_metadata": self.metadata_url}  # fmt: skip
        return "Bearer " + ", ".join(f'{name}="{_quoted(value)}"' for name, value in parts.items() if value)


def _quoted(text: str) -> str:
    return "".join(c for c in text if " " <= c <= "~").replace("\\", "").replace('"', "'")
