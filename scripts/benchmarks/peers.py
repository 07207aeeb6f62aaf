"""What is measured: the gateway with more and more of its duties, and its peers, each as it is installed by default."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
INSTALLED = ROOT / ".bench"
KEY = "gw-benchmark-key-0123456789abcdef"
UPSTREAM_KEY = "sk-upstream"

# The prompts' patterns: ten, of the kinds that people write.
PATTERNS = (
    r"\b\d{3}-\d{2}-\d{4}\b", r"\bAKIA[0-9A-Z]{16}\b", r"\bghp_[A-Za-z0-9]{36}\b",
    r"-----BEGIN (?:RSA |EC )?PRIVATE KEY-----", r"(?i)ignore (?:all |any )?(?:previous |prior )?instructions",
    r"\bsk-ant-[A-Za-z0-9-]{20,120}\b", r"(?i)<script[^>]*>", r"\bAIza[0-9A-Za-z_-]{35}\b",
    r"(?i)\bdrop\s+table\b", r"(?i)\bapi[_-]?key\s*[:=]\s*[A-Za-z0-9]{16,}",
)  # fmt: skip
RULES = (
    'principal.kind == "key" && "bench" in principal.groups',
    'llm.model.startsWith("claude") || mcp.tool.name in ["read_file"]',
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a peer listens, what it calls, and where it may write."""

    port: int
    upstream: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    command: Callable[[Place], list[str]]
    rows: tuple[str, ...]
    paths: Mapping[str, str] = field(default_factory=dict)  # by row, where they differ from the wire's own
    env: Mapping[str, str] = field(default_factory=dict)
    wants: tuple[str, ...] = ()  # packages of a virtual environment of its own in .bench/
    records: bool = False  # writes one record and one log line for each request

    def missing(self) -> str:
        """Why it cannot be measured; "" when it can."""
        if self.name == "nginx":
            return "" if shutil.which("nginx") else "apt-get install nginx-light"
        if self.wants and not (INSTALLED / self.name / "done").exists():
            return "scripts/bench --install"
        return ""

    def install(self) -> None:
        home, uv = INSTALLED / self.name, str(ROOT / ".venv/bin/uv")
        subprocess.run([uv, "venv", "-q", "--clear", str(home)], check=True)
        python = str(home / "bin/python")
        subprocess.run([uv, "pip", "install", "-q", "--python", python, *self.wants], check=True)
        subprocess.run([python, "-m", "compileall", "-q", str(home / "lib")], check=False)
        (home / "done").touch()


JSON_ROWS = ("json", "json-60k", "json-400k")
ALL = (*JSON_ROWS, "stream", "mcp")


def _gateway(*duties: str, store: str = "memory:") -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        file = place.folder / "gateway.json"  # JSON is YAML
        file.write_text(
            json.dumps(_config(place, set(duties), store.replace("PATH", str(place.folder / "bench.db"))))
        )
        return [str(ROOT / ".venv/bin/gateway"), "serve", "--config", str(file), "--host", "127.0.0.1",
                "--port", str(place.port)]  # fmt: skip

    return command


def _config(place: Place, duties: set[str], store: str) -> dict[str, object]:
    policies: dict[str, object] = {"auth": {"mode": "permissive"}}
    if "auth" in duties:
        policies["auth"] = {"keys": [{"key": KEY, "owner": "bench", "groups": ["bench"]}]}
    if "authz" in duties:
        policies["authz"] = {"allow": list(RULES)}
    if "ratelimit" in duties:
        limits: dict[str, object] = {
            "limits": [{"requests": 100_000_000, "per": "60s", "key": "principal.id"}]
        }
        policies["ratelimit"] = limits | ({"store": "memory:"} if "local limits" in duties else {})
    if "guard" in duties:
        policies["guard"] = {"request": [{"regex": pattern, "action": "reject"} for pattern in PATTERNS]}
    provider = {"base_url": place.upstream, "api_key": UPSTREAM_KEY}
    return {
        "listen": {"metrics": place.port + 1 if "metrics" in duties else 0, "admin": 0},
        "store": store,
        "policies": policies,
        "telemetry": {"log": "json" if "log" in duties else "off"},
        "routes": [
            {"path": "/", "llm": {"providers": {"anthropic": provider}}},
            {"path": "/mcp", "mcp": {"servers": {"mock": {"url": place.upstream + "/mcp"}}}},
        ],
    }


def _nginx(place: Place) -> list[str]:
    temp = "".join(f"{kind}_temp_path {place.folder}/{kind};\n" for kind in
                   ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
    file = place.folder / "nginx.conf"
    file.write_text(f"""
worker_processes 1; daemon off; pid {place.folder}/nginx.pid; error_log {place.folder}/nginx.err crit;
events {{ worker_connections 4096; }}
http {{
{temp}access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; tcp_nodelay on;
client_max_body_size 32m; client_body_buffer_size 512k;
upstream mock {{ server {place.upstream.removeprefix("http://")}; keepalive 256; keepalive_requests 1000000000; }}
server {{ listen 127.0.0.1:{place.port} backlog=4096; proxy_http_version 1.1; proxy_set_header Connection "";
proxy_buffering off; location / {{ proxy_pass http://mock; }} }} }}
""")
    return ["nginx", "-c", str(file)]


def _litellm(venv: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        by_name = {"claude-sonnet-4-5": ("anthropic", ""), "gpt-4.1": ("openai", "/v1")}
        models = [
            {"model_name": name, "litellm_params": {"model": f"{provider}/{name}", "api_key": UPSTREAM_KEY,
                                                    "api_base": place.upstream + tail}}
            for name, (provider, tail) in by_name.items()
        ]  # fmt: skip
        file = place.folder / "litellm.yaml"
        file.write_text(json.dumps({
            "model_list": models,
            "litellm_settings": {"set_verbose": False, "request_timeout": 60, "telemetry": False, "num_retries": 0},
            "general_settings": {"master_key": KEY, "disable_spend_logs": True},
        }))  # fmt: skip
        return [str(INSTALLED / venv / "bin/litellm"), "--config", str(file), "--host", "127.0.0.1",
                "--port", str(place.port), "--num_workers", "1"]  # fmt: skip

    return command


_LITELLM = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def _script(venv: str, name: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        python, script = INSTALLED / venv / "bin/python", HERE / "foreign" / name
        return [str(python), str(script), str(place.port), place.upstream, str(place.folder)]

    return command


FULL = ("auth", "authz", "ratelimit", "guard", "usage", "metrics", "log")
SQLITE = "sqlite:///PATH"

PEERS = (
    Peer("nginx", _nginx, (*ALL, "chat")),
    Peer("gateway", _gateway(*FULL, "local limits", store=SQLITE), (*ALL, "chat"), records=True),
    Peer("gateway, limits in SQLite", _gateway(*FULL, store=SQLITE), ("json", "stream"), records=True),
    Peer("gateway, nothing on", _gateway(), ("json", "stream", "mcp")),
    *(Peer(f"gateway, {duty} on", _gateway(duty), ("json",)) for duty in FULL if duty != "usage"),
    Peer("litellm", _litellm("litellm"), ("json", "stream"), env=_LITELLM, wants=("litellm[proxy]",)),
    Peer("litellm-tuned", _litellm("litellm-tuned"), ("json", "stream"), env=_LITELLM,
         wants=("litellm[proxy]", "httptools", "opentelemetry-sdk")),
    Peer("tensorzero", _script("tensorzero", "run_tensorzero.py"), ("chat",), wants=("tensorzero", "openai"),
         paths={"chat": "/openai/v1/chat/completions"}, env={"TOKIO_WORKER_THREADS": "1", "UPSTREAM_KEY": UPSTREAM_KEY}),
    Peer("fastmcp", _script("fastmcp", "run_fastmcp.py"), ("mcp",), wants=("fastmcp", "uvloop", "httptools"),
         env={"FASTMCP_CHECK_FOR_UPDATES": "off"}),
)  # fmt: skip


def path_with(program: str) -> dict[str, str]:
    """LiteLLM starts parts of itself by name."""
    home = INSTALLED / program / "bin"
    return {"PATH": f"{home}{os.pathsep}{os.environ['PATH']}"} if home.exists() else {}
