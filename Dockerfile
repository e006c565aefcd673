# One image for all of Endcap's processes: migrate, web, worker. Built from the lock; runs as an ordinary user.
FROM python:3.12-slim-bookworm AS build
WORKDIR /srv/endcap
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.lock ./
RUN awk '/^uv==/{found=1} found{print; if ($0 !~ /\\$/) exit}' requirements.lock > uv.lock \
    && python -m venv /srv/venv \
    && /srv/venv/bin/pip install --no-deps --require-hashes -r uv.lock
COPY pyproject.toml ./
# Only what the product imports at run time: no embedded servers, no tests. Every file is checked against the lock.
RUN /srv/venv/bin/uv pip compile --quiet pyproject.toml --python-version 3.12 --generate-hashes --no-header \
      --no-annotate --no-emit-index-url --constraint requirements.lock -o runtime.lock \
    && /srv/venv/bin/uv pip install --python /srv/venv/bin/python --no-deps --require-hashes --compile-bytecode \
      -r runtime.lock \
    && /srv/venv/bin/uv pip uninstall --python /srv/venv/bin/python uv

FROM python:3.12-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /srv/endcap --shell /usr/sbin/nologin endcap \
    && mkdir -p /var/lib/endcap && chown endcap: /var/lib/endcap
COPY --from=build /srv/venv /srv/venv
WORKDIR /srv/endcap
COPY activities/ activities/
COPY commands/ commands/
COPY domain/ domain/
COPY ledger/ ledger/
COPY ports/ ports/
COPY web/ web/
COPY workflows/ workflows/
COPY cli.py letters.py notifier.py relay.py schedules.py secret_files.py sender.py settings.py starts.py sweeps.py telemetry.py wire.py worker.py ./
ENV PATH=/srv/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ENDCAP_HOME=/var/lib/endcap
VOLUME /var/lib/endcap
USER endcap
EXPOSE 8400
CMD ["python", "-m", "uvicorn", "web.process:create_app", "--factory", "--host", "0.0.0.0", "--port", "8400", \
     "--no-server-header", "--no-access-log", "--timeout-graceful-shutdown", "5"]
