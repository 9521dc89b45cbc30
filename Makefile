# Needs GNU make and a Python 3.11 to 3.13; PYTHON=/path/to/python chooses one. `make` alone explains the targets.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?=
CANDIDATES := $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python)
PIP_INSTALL := $(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock"
PROJECT := pyproject.toml --all-extras

# PROTO_OUT is where the generated package modelyard/grpc_server/pb goes: here, or for the check elsewhere.
PROTO_OUT ?= .
PROTOC = $(BIN)/python -m grpc_tools.protoc --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy \
	--proto_path=modelyard/grpc_server/pb=modelyard/grpc_server --python_out=$(PROTO_OUT) --mypy_out=quiet:$(PROTO_OUT)
OPEN_INFERENCE := modelyard/grpc_server/open_inference

# The stamps: the locked packages, then the project itself.
PACKAGES := $(VENV)/.packages
SETUP := $(VENV)/.project

.PHONY: help
help: ## Explain the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: $(SETUP) ## Make .venv with the locked packages (the other targets do it by themselves)
	@:

.PHONY: run
run: $(SETUP) ## Start every server on models_storage/; Ctrl-C stops them (ARGS="--storage DIR ...")
	@exec $(BIN)/modelyard up $(ARGS)

# A worker more than cores, because a test that waits for a server or a browser leaves its core idle.
.PHONY: test
test: $(SETUP) ## Run the tests (ARGS="-k NAME ...")
	@exec $(BIN)/python -m pytest -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist worksteal $(ARGS)

.PHONY: check
check: $(SETUP) ## Check style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(MAKE) proto-check

.PHONY: proto
proto: $(SETUP) ## Generate modelyard/grpc_server/pb from the .proto files
	$(PROTOC) --grpc_python_out=$(PROTO_OUT) modelyard/grpc_server/pb/modelyard.proto
	$(PROTOC) --proto_path=modelyard/grpc_server/pb=$(OPEN_INFERENCE) modelyard/grpc_server/pb/open_inference.proto
# A pool of its own: a process may also import a client of the protocol, with messages of the same names.
	sed -i.bak 's/_descriptor_pool.Default()/_descriptor_pool.DescriptorPool()/' \
		$(PROTO_OUT)/modelyard/grpc_server/pb/open_inference_pb2.py
	rm $(PROTO_OUT)/modelyard/grpc_server/pb/open_inference_pb2.py.bak

.PHONY: proto-check
proto-check: $(SETUP)
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && $(MAKE) proto PROTO_OUT="$$fresh" >/dev/null \
		&& for file in modelyard_pb2.py modelyard_pb2.pyi modelyard_pb2_grpc.py open_inference_pb2.py \
			open_inference_pb2.pyi; do \
			cmp "$$fresh/modelyard/grpc_server/pb/$$file" "modelyard/grpc_server/pb/$$file" \
				|| { echo "generated code is out of date: run make proto" >&2; exit 1; }; done

.PHONY: format
format: $(SETUP) ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: bench
bench: $(SETUP) ## Run the benchmarks, as tables
	@exec $(BIN)/python -m benchmarks $(ARGS)

.PHONY: bench-peers
bench-peers: $(SETUP) ## Install the peers beside the project, and measure them on the same models
	@exec $(BIN)/python -m benchmarks peers_serving

.PHONY: lock
lock: $(PACKAGES) ## Write the lock files anew from pyproject.toml (ARGS=--upgrade for the newest versions)
	$(LOCK) $(ARGS) $(PROJECT) --group build --python-version 3.11 --output-file requirements/run.txt
	$(LOCK) $(ARGS) $(PROJECT) --group build --group dev --python-version 3.11 \
		--constraint requirements/run.txt --output-file requirements/dev.txt
	$(LOCK) $(ARGS) $(PROJECT) --python-version 3.12 --excludes requirements/image-excludes.txt \
		--constraint requirements/run.txt --output-file requirements/image.txt
	sed '/^ray /d' requirements/image-excludes.txt >$(VENV)/excludes.txt
	$(LOCK) $(ARGS) $(PROJECT) --python-version 3.12 --excludes $(VENV)/excludes.txt \
		--constraint requirements/run.txt --output-file requirements/image-ray.txt
	$(LOCK) $(ARGS) --group build --python-version 3.12 \
		--constraint requirements/run.txt --output-file requirements/image-build.txt
	for client in triton kserve mlserver; do \
		$(LOCK) $(ARGS) --group $$client --python-version 3.11 --output-file requirements/clients/$$client.txt; done

.PHONY: clean
clean: ## Remove what the targets made; models_storage/ stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find modelyard tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(SETUP): $(PACKAGES) pyproject.toml modelyard/__init__.py
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# A .venv that works is kept and brought up to date, any other is made anew.
$(PACKAGES): requirements/dev.txt
	@python=$$(sh .ci/find-python $(BIN)/python 2>/dev/null) \
		|| { python=$$(sh .ci/find-python $(CANDIDATES)) && "$$python" -m venv --clear $(VENV); }
	@echo "Installing the locked packages into $(VENV): a minute or two, only when they change"
	@$(PIP_INSTALL) --require-hashes --only-binary :all: --requirement requirements/dev.txt
	@touch $@
