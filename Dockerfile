# The building image: train, build, measure and judge on the processor of the machine that runs it.
#
#   docker build -t edgecnn .
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" edgecnn build --arch efficientnet-b0 --target cpu
#
# docs/howto/docker.md says how to pin the base by digest, and how the lines below are tested.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE}

# Where torch comes from: its CPU index saves some 4 GB of CUDA libraries. Empty: the registry's own build.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# git and compilers are not needed: every dependency has a wheel. libgomp is what onnxruntime and openvino thread with.
# Debian keeps one version of each package at a time; the digest of the base pins its release.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --no-install-recommends --yes libgomp1 openssh-client \
    && rm -rf /var/lib/apt/lists/*

# Ranges, as everywhere else.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch>=2.13,<2.16" "torchvision>=0.28,<0.30"

COPY pyproject.toml README.md LICENSE /src/
COPY edgecnn /src/edgecnn
COPY devices /src/devices
COPY pipelines /src/pipelines
COPY baselines /src/baselines
RUN pip install --no-cache-dir "/src[train,onnxruntime,openvino,offline-weights,report]" && rm -rf /src

RUN useradd --create-home --uid 10001 edgecnn && mkdir /work /store && chown edgecnn /work && chmod 1777 /store
USER 10001
ENV EDGECNN_STORE=/store
VOLUME /store
WORKDIR /work
HEALTHCHECK --interval=5m --timeout=2m CMD ["edgecnn", "doctor", "--need", "cpu", "--need", "onnxruntime", "--need", "openvino", "--need", "store"]
ENTRYPOINT ["edgecnn"]
CMD ["--help"]
