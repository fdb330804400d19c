# What the README's commands call. Everything happens in .venv; nothing is installed elsewhere.
# The first Python that really starts and is of a supported version; a name on the PATH alone proves nothing.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
  "$$p" -c '$(SUPPORTED)' >/dev/null 2>&1 && { command -v "$$p"; break; }; done)
VENV := .venv
SCREEN := offscreen:configfile=tests/support/screen.json
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed-dev
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Without bytecode every window, worker and test process compiles the product anew: about 0.4 s each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test soak lint bench screens app clean

run: $(STAMP)
	$(PY) -m app $(ARGS)

test: $(STAMP)
	QT_QPA_PLATFORM=$(SCREEN) $(PY) -m pytest $(ARGS)

# The long campaigns; their last results stand in docs/testing.md.
soak: $(STAMP)
	QT_QPA_PLATFORM=$(SCREEN) $(PY) -m pytest -n0 -m soak tests/soak $(ARGS)

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(STAMP)
	QT_QPA_PLATFORM=$(SCREEN) $(PY) -m benchmarks $(ARGS)

screens: $(STAMP)
	QT_QPA_PLATFORM=$(SCREEN) $(PY) -m tests.screens.make $(ARGS)

app: $(STAMP)
	$(PY) -m PyInstaller --noconfirm --distpath dist --workpath build/pyinstaller build_mac.spec

# One stamp for both: a second start installs nothing.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" && "$(PYTHON)" -c '$(SUPPORTED)' || { \
	  echo "Bright Run needs Python 3.11, 3.12 or 3.13, and none was found."; \
	  echo "Install one (macOS: brew install python@3.13; Debian: apt install python3 python3-venv)"; \
	  echo "or name it: make run PYTHON=/path/to/python3.13"; exit 1; }
	@test -x $(PY) || "$(PYTHON)" -m venv $(VENV)
	@echo "Installing the libraries, once; torch brings some 5 GB on Linux, far less on a Mac. Cut short, it goes on with what is there."
	@$(PY) -m pip install --quiet --upgrade "pip>=25.1"
	$(PY) -m pip install --resume-retries 10 --constraint constraints.txt ".[dev]"
	@touch $(STAMP)

clean:
	rm -rf $(VENV) build dist
