# Every command sets up what it needs: a machine has git, make and Python 3.11, nothing else.

PYTHON ?= python3
BOOT := var/bootstrap
UV := $(BOOT)/bin/uv
RUN := $(UV) run --frozen --no-sync
READY := .venv/.ready

# What was read once is kept, also where the machine says otherwise (images often do): without it every process of the
# product reads and translates all of its libraries anew, for six seconds instead of two.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test check bench soak dev assets format migration clean

help: ## What there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: assets ## A demo company and a day of trade; keeps serving (EXIT=1: ends after the day)
	$(RUN) python -m shipcrowd demo $(if $(EXIT),--exit)

test: assets ## The whole suite (ARGS="-k booking" for a part of it)
	$(RUN) pytest -n 2 --dist loadgroup $(ARGS)

check: $(READY) ## Lint, types, layers
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) pyright
	$(RUN) lint-imports

bench: assets ## Figures beside their baselines
	$(RUN) python -m bench $(ROWS)

soak: assets ## Days of trade with faults, one after another (DAYS=10)
	SHIPCROWD_SOAK_DAYS=$(or $(DAYS),10) $(RUN) pytest -s tests/journeys/test_soak.py \
		tests/journeys/amazon/test_soak.py tests/journeys/flipkart/test_soak.py
	SHIPCROWD_SOAK_SELLERS=50 SHIPCROWD_SOAK_HOURS=24 SHIPCROWD_SOAK_ORDERS=400 \
		$(RUN) pytest -s tests/journeys/amazon/test_a_day.py
	SHIPCROWD_DAY_STORES=50 SHIPCROWD_DAY_SHIPMENTS=300 SHIPCROWD_DAY_HOURS=24 \
		$(RUN) pytest -s tests/journeys/flipkart/test_day.py

dev: assets ## Everything running, with reload of the API, on a company without orders
	$(RUN) python -m shipcrowd dev

format: $(READY) ## Put the code in order
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

assets: $(READY) ## Fonts and browser assets, from the npm lock file
	@$(RUN) python tools/assets.py

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	$(PYTHON) -m venv $(BOOT)
	$(BOOT)/bin/pip install --quiet --disable-pip-version-check "uv>=0.13,<0.14"

$(READY): pyproject.toml uv.lock | $(UV)
	$(UV) sync --frozen --quiet --extra sandbox
	@touch $@

clean: ## Remove what was built; data of the demo too
	rm -rf .venv var/bootstrap var/demo var/demo.lock demo-out node_modules .pytest_cache .ruff_cache .hypothesis \
		shipcrowd/documents/fonts shipcrowd/console/static/vendor
