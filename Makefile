.PHONY: run install test test-real check lock bench clean

run: install  ## serve the demo on 127.0.0.1:3000 (PORT=…), or a real provider when its key is in the environment
	@scripts/serve

install:
	@scripts/install run

.venv/.installed-test: pyproject.toml requirements/test.txt
	@scripts/install test

test: .venv/.installed-test  ## Python packages only, under five minutes
	@scripts/test

test-real: .venv/.installed-test  ## real clients, servers, engines and a browser
	@scripts/test real

check: .venv/.installed-test  ## format, lint, types
	@scripts/check

lock:
	@scripts/lock

bench: .venv/.installed-test
	@scripts/bench

clean:
	rm -rf .venv .tools .bench .aws-sam
