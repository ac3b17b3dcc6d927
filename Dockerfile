# One image for every process of the project: what runs is chosen by the command, `python -m services.order` and so on.
# BASE: a Python image with a shell. PIP_INDEX_URL: another package index; it is in no layer of the finished image.
ARG BASE=python:3.12-slim

FROM ${BASE} AS packages
ARG PIP_INDEX_URL
COPY requirements.image.lock /
RUN python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check --no-deps --only-binary :all: \
        --require-hashes -r /requirements.image.lock

FROM ${BASE} AS code
COPY libs /app/libs
COPY services /app/services
COPY cli /app/cli
COPY schemas /app/schemas
COPY deploy/healthcheck.py /app/
RUN python -m compileall -q /app

FROM ${BASE}
RUN useradd --uid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin ensemble \
    && mkdir /data && chown ensemble:ensemble /data
COPY --from=packages /venv /venv
COPY --from=code /app /app
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/app/libs:/app \
    PYTHONUNBUFFERED=1 \
    ENSEMBLE_HTTP_HOST=0.0.0.0 \
    ENSEMBLE_HTTP_PORT=8100 \
    ENSEMBLE_INSTANCE_ID=auto \
    ENSEMBLE_DATA_DIR=/data \
    ENSEMBLE_PROGRAM="python -m cli" \
    ENSEMBLE_STARTUP_TIMEOUT_S=600
WORKDIR /app
USER 10001:10001
EXPOSE 8100
VOLUME /data
HEALTHCHECK --interval=5s --timeout=30s --start-period=600s --retries=12 CMD ["python", "-IS", "/app/healthcheck.py"]
CMD ["python", "-m", "cli", "--help"]
