# What `sam build` runs: wheels of the function's own architecture, whatever this machine is, and bytecode, which a read-only
# /var/task cannot keep; then the configuration as a tree, so that no start reads YAML. The runtime's C library is 2.26; pip
# must be told each tag that it may take.
PYTHON ?= python3.11
TAGS = 2014 _2_17 _2_24 _2_26

build-%:
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes \
	  --only-binary=:all: --implementation cp --python-version 3.11 $(TAGS:%=--platform manylinux%_$(MACHINE)) \
	  --requirement requirements.txt --target "$(ARTIFACTS_DIR)"
	cp -R gateway gateway.yaml stream $(wildcard *.openapi.json *.openapi.yaml) "$(ARTIFACTS_DIR)"
	find "$(ARTIFACTS_DIR)" -name __pycache__ -prune -exec rm -rf {} +
	$(PYTHON) -m compileall -q --invalidation-mode unchecked-hash "$(ARTIFACTS_DIR)"
	cd "$(ARTIFACTS_DIR)" && $(PYTHON) -m gateway.config.tree gateway.yaml
