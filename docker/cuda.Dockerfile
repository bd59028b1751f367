# Builds and serves cuda and TensorRT engines on an NVIDIA GPU; the host needs a driver for CUDA 13 and NVIDIA's container
# toolkit. From the root of the repository:
#   docker build -f docker/cuda.Dockerfile -t ugatit-fast:cuda .
#   docker run --gpus all -v "$PWD/engines:/engines" --entrypoint ugatit-fast ugatit-fast:cuda build-engine faces.pt
#   docker run --gpus all -p 127.0.0.1:8000:8000 -v "$PWD/engines:/engines:ro" -e UGATIT_API_KEY=... ugatit-fast:cuda faces-A2B.engine
FROM python:3.11.14-slim-bookworm
ARG TENSORRT=11.4.0.106
# Triton compiles a launcher for its kernels when they are first used, with a C compiler.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/* \
 && python -m venv /opt/ugatit-fast \
 && useradd --uid 1000 --create-home ugatit
ENV PATH="/opt/ugatit-fast/bin:$PATH" PYTHONUNBUFFERED=1
WORKDIR /source
COPY setup.py pyproject.toml constraints.txt README.md LICENSE ./
COPY ugatit_fast ugatit_fast
COPY kernels kernels
COPY export export
COPY train train
COPY assets assets
COPY benchmarks/suite benchmarks/suite
# PyPI's torch for Linux is a CUDA build, and brings its CUDA libraries and Triton.
RUN pip install --no-cache-dir -c constraints.txt "tensorrt==${TENSORRT}" ".[cpu,torch,tensorrt,serve]"
USER 1000
WORKDIR /engines
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["ugatit-fast", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["engine.engine"]
