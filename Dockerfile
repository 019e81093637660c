# nada in a container; the project's folder is mounted at /work, and whatever nada keeps stays there.
#
#   docker build --tag nada .
#   docker run --rm --volume "$PWD/my-library:/work" nada plan
#
# On NVIDIA's GPUs, where the host has their container toolkit; PyPI's torch brings CUDA along:
#
#   docker build --tag nada:cuda --build-arg TORCH_INDEX=https://pypi.org/simple .
#   docker run --rm --gpus all --volume "$PWD/my-library:/work" nada:cuda run
#
# BASE may be another image with Python 3.11 or newer, such as one of CUDA's that somebody put a Python into.
ARG BASE=python:3.11-slim
FROM ${BASE}
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory /work

COPY pyproject.toml constraints.txt /src/
RUN pip install --no-cache-dir --constraint /src/constraints.txt --extra-index-url ${TORCH_INDEX} torch torchvision
COPY nada /src/nada
COPY tasks /src/tasks
COPY flows /src/flows
COPY nada_night.py /src/
RUN pip install --no-cache-dir --constraint /src/constraints.txt /src

WORKDIR /work
ENTRYPOINT ["nada"]
CMD ["--help"]
