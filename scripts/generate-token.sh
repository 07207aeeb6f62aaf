#!/usr/bin/env bash
# A token for an MCP client, as in the fifth seed: ./scripts/generate-token.sh claude-code-client [--claim role=user ...]
set -euo pipefail
exec gateway token --sub "${1:?usage: generate-token.sh NAME [options of gateway token]}" "${@:2}"
