# unmix in a container. It uses a GPU when it is shown one (`--gpus all`) and the CPU otherwise.
#
#   docker build --build-arg TORCH_INDEX_URL=<package index of the torch build> -t unmix .
#   docker run --rm -v "$PWD:/data" unmix analyze take.wav
#   docker run --rm -v "$PWD/data:/data" -v "$PWD/runs:/runs" unmix gen-data --chains --count 1000 --out /data/chains
#
# TORCH_INDEX_URL chooses the build of torch; PyTorch's installation page lists the addresses:
#   the index for CPU     a small image, the right one wherever there is no NVIDIA GPU
#   the index for CUDA    pick the CUDA version that the machine's driver supports
#   left empty            whatever pip's own index has: on x86-64 Linux a CUDA build, some GB larger,
#                         which runs on the CPU as well
# Files in /data and /runs are written by user 1000; another one: --user "$(id -u):$(id -g)".
FROM python:3.12-slim

ARG TORCH_INDEX_URL=""

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    MPLBACKEND=Agg \
    MPLCONFIGDIR=/tmp/matplotlib \
    NUMBA_CACHE_DIR=/tmp/numba

# In a layer of its own, before the sources: a change of code does not fetch torch again. The next
# step finds the requirement met and leaves this build alone.
RUN if [ -n "$TORCH_INDEX_URL" ]; then \
        pip install --index-url "$TORCH_INDEX_URL" "torch>=2.11,<2.14" "torchaudio>=2.11,<2.14"; \
    fi

# libsndfile comes inside the soundfile wheel: no system packages are needed.
COPY pyproject.toml README.md LICENSE /src/
COPY unmix /src/unmix
RUN pip install /src && rm -rf /src

RUN useradd --create-home --uid 1000 unmix \
    && install --directory --owner=unmix --group=unmix /data /runs
USER unmix
WORKDIR /data
VOLUME ["/data", "/runs"]

ENTRYPOINT ["unmix"]
CMD ["--help"]
