# The monitor's worker and command line. CPU only; no torch: the static embedding table is part of the package.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN pip install --no-cache-dir build==1.2.2 && python -m venv /opt/oqm
COPY pyproject.toml README.md LICENSE ./
COPY monitor monitor
COPY pipelines pipelines
COPY config config
RUN python -m build --wheel --outdir /wheels . \
 && /opt/oqm/bin/pip install --no-cache-dir /wheels/*.whl

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin oqm
COPY --from=build /opt/oqm /opt/oqm
# What is compiled when it is first called is kept in /tmp, the only folder that it may write to.
ENV PATH=/opt/oqm/bin:$PATH PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 NUMBA_CACHE_DIR=/tmp/numba
USER 10001:10001
EXPOSE 9464
# Unhealthy is what a restart would mend; whether the streams are watched is asked at /readyz.
HEALTHCHECK --interval=15s --timeout=5s --start-period=90s --retries=4 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9464/healthz', timeout=4)"]
ENTRYPOINT ["oqm"]
CMD ["worker"]
