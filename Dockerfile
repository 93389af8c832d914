# The monitor's worker and command line. CPU only; no torch: the static embedding table is part of the package.
# Python packages have the exact versions of constraints.txt. The base has an exact tag; a registry may move a tag, so
# for builds that are the same to the byte pin its digest: FROM python:3.11.13-slim-bookworm@sha256:...
FROM python:3.11.13-slim-bookworm AS build
WORKDIR /src
COPY constraints.txt ./
RUN pip install --no-cache-dir --constraint constraints.txt build hatchling && python -m venv /opt/oqm
COPY pyproject.toml README.md LICENSE ./
COPY monitor monitor
COPY pipelines pipelines
COPY config config
RUN python -m build --wheel --no-isolation --outdir /wheels . \
 && /opt/oqm/bin/pip install --no-cache-dir --constraint constraints.txt "$(ls /wheels/*.whl)[monitor]"

FROM python:3.11.13-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin oqm
COPY --from=build /opt/oqm /opt/oqm
# A volume that is mounted here belongs to the user: the ledger of `oqm serve`.
RUN install -d -o oqm -g oqm /var/lib/oqm
# What is compiled when it is first called is kept in /tmp, the only folder that it may write to.
# Metrics and probes are asked from outside the container; which ports are published is the operator's choice.
ENV PATH=/opt/oqm/bin:$PATH PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 NUMBA_CACHE_DIR=/tmp/numba OQM_METRICS_HOST=0.0.0.0
USER 10001:10001
EXPOSE 9464 8086
# Unhealthy is what a restart would mend; whether the streams are watched is asked at /readyz.
HEALTHCHECK --interval=15s --timeout=5s --start-period=90s --retries=4 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9464/healthz', timeout=4)"]
ENTRYPOINT ["oqm"]
CMD ["worker"]
