# Milepost for compose.yaml: `milepost` serves doors, console, worker, builds and dashboard; `spark` the streaming jobs.
# Both run as a user without rights; everything they write lies under /data.

FROM python:3.11.14-slim-bookworm AS build
WORKDIR /source
COPY requirements/stack.txt requirements/
RUN python -m venv /opt/milepost \
    && /opt/milepost/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/stack.txt
COPY . .
RUN /opt/milepost/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

FROM python:3.11.14-slim-bookworm AS build-spark
WORKDIR /source
COPY requirements/spark.txt requirements/
RUN python -m venv /opt/milepost \
    && /opt/milepost/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/spark.txt
COPY . .
RUN cp -r contract collector streaming "$(/opt/milepost/bin/python -c 'import site; print(site.getsitepackages()[0])')"

FROM python:3.11.14-slim-bookworm AS milepost
RUN groupadd --system --gid 10001 milepost \
    && useradd --system --uid 10001 --gid milepost --home-dir /data --create-home milepost
COPY --from=build /opt/milepost /opt/milepost
ENV PATH=/opt/milepost/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME /data
CMD ["milepost", "--help"]

FROM python:3.11.14-slim-bookworm AS spark
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends openjdk-17-jre-headless procps \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 milepost \
    && useradd --system --uid 10001 --gid milepost --home-dir /data --create-home milepost
COPY --from=build-spark /opt/milepost /opt/milepost
ENV PATH=/opt/milepost/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME /data
CMD ["python", "-m", "streaming", "--help"]
