# One command runs the platform, one tests it. See README.md.

VENV := .venv/bin/python
# Which Python makes the environment: the first of these that is new enough.
PYTHONS := $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python
# One more than there are cores: tests often wait for processes of their own.
WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); [ $$cores -gt 8 ] && echo 9 || echo $$((cores + 1)))
TESTS ?=

# The platform is a dozen processes: without byte code each would compile every module anew.
export PYTHONDONTWRITEBYTECODE :=

find_python = python=; for name in $(PYTHONS); do \
	if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$name; break; fi; done; \
	if [ -z "$$python" ]; then \
	echo "Roboblock needs Python 3.11 or newer, and there is none on the path."; \
	echo "Install it (Debian, Ubuntu: sudo apt install python3 python3-venv), or name it: make $@ PYTHON=/path/to/python3"; \
	exit 1; fi

.PHONY: help run stop reset install test lint format bench chaos

help:
	@echo "make run [PORT=8001]       start the platform; Ctrl-C stops it"
	@echo "make stop                  stop a platform that runs in the background"
	@echo "make reset                 stop it and forget all its data"
	@echo "make test [TESTS=path]     run all tests, or some"
	@echo "make lint                  check style, types, layers, templates and migrations"
	@echo "make format                format Python"
	@echo "make bench [NAME=mirror]   run the benchmarks, or one"
	@echo "make chaos [DURATION=600]  run the mirror under random faults, then compare; SEED=… replays a run"

run:
	@$(find_python); "$$python" config/environment.py runtime
	@exec $(VENV) -m config.supervisor run

stop:
	@if [ -x $(VENV) ]; then exec $(VENV) -m config.supervisor stop; fi

reset:
	@if [ -x $(VENV) ]; then exec $(VENV) -m config.supervisor reset; else rm -rf .data; fi

install:
	@$(find_python); "$$python" config/environment.py development

test: install
	@exec $(VENV) -m pytest -n $(WORKERS) --dist loadgroup $(TESTS)

lint: install
	$(VENV) -m ruff check .
	$(VENV) -m ruff format --check .
	.venv/bin/lint-imports
	$(VENV) -m mypy .
	$(VENV) -m djlint templates --lint --quiet
	$(VENV) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

format: install
	$(VENV) -m ruff check --fix-only --quiet .
	$(VENV) -m ruff format .

bench: install
	@exec $(VENV) -m benchmarks $(NAME)

chaos: install
	@exec $(VENV) -m tests.chaos $(if $(DURATION),--duration $(DURATION)) $(if $(SEED),--seed $(SEED))
