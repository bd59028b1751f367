# Serves an ONNX Runtime engine on a CPU, without PyTorch. From the root of the repository:
#   docker build -f docker/cpu.Dockerfile -t ugatit-fast:cpu .
#   docker run -p 127.0.0.1:8000:8000 -v "$PWD/engines:/engines:ro" -e UGATIT_API_KEY=... ugatit-fast:cpu faces.onnx
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /source
COPY setup.py pyproject.toml constraints.txt README.md LICENSE ./
COPY ugatit_fast ugatit_fast
COPY kernels kernels
COPY export export
COPY train train
COPY assets assets
COPY benchmarks/suite benchmarks/suite
RUN python -m venv /opt/ugatit-fast \
 && /opt/ugatit-fast/bin/pip install --no-cache-dir -c constraints.txt ".[cpu,serve]"

FROM python:3.11.14-slim-bookworm
COPY --from=build /opt/ugatit-fast /opt/ugatit-fast
RUN useradd --uid 1000 --create-home ugatit
ENV PATH="/opt/ugatit-fast/bin:$PATH" PYTHONUNBUFFERED=1
USER 1000
WORKDIR /engines
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["ugatit-fast", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["engine.onnx"]
