#!/usr/bin/env bash
# A token for an MCP client, as examples/seed-5 makes it: scripts/generate-token.sh claude-code-client [options of gateway token]
set -euo pipefail
[ $# -gt 0 ] || { echo "usage: $0 NAME [options of gateway token]" >&2; exit 2; }
exec "$(command -v gateway || echo "$(dirname "$0")/../.venv/bin/gateway")" token --sub "$@"
