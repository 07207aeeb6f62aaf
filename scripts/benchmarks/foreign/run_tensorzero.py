"""Starts the gateway that is embedded in the tensorzero wheel, and writes its address to FOLDER/tensorzero.url.

run_tensorzero.py PORT UPSTREAM FOLDER  (it chooses its port itself)
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import openai
import tensorzero

_, _, upstream, folder = sys.argv
config = Path(folder, "tensorzero.toml")
config.write_text(f"""
[gateway]
observability.enabled = false
[models."gpt-4.1"]
routing = ["up"]
[models."gpt-4.1".providers.up]
type = "openai"
model_name = "gpt-4.1"
api_base = "{upstream}/v1/"
api_key_location = "env::UPSTREAM_KEY"
""")
client = tensorzero.patch_openai_client(
    openai.OpenAI(api_key="none"), config_file=str(config), async_setup=False
)
Path(folder, "tensorzero.url").write_text(str(client.base_url))
while True:
    time.sleep(60)
