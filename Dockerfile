# One CPU image: build, measure and judge on the processor of the machine that runs it.
#
#   docker build -t edgecnn .
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" edgecnn build --arch efficientnet-b0 --target cpu
#
# torch comes from its CPU index, which saves some 4 GB of CUDA libraries. For the default build:
#   docker build --build-arg TORCH_INDEX= -t edgecnn .
FROM python:3.11-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# git and compilers are not needed: every dependency has a wheel. libgomp is what onnxruntime and openvino thread with.
RUN apt-get update \
    && apt-get install --no-install-recommends --yes libgomp1 openssh-client \
    && rm -rf /var/lib/apt/lists/*

RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch>=2.13,<2.16" "torchvision>=0.28,<0.30"

COPY pyproject.toml README.md LICENSE /src/
COPY edgecnn /src/edgecnn
COPY devices /src/devices
COPY pipelines /src/pipelines
COPY baselines /src/baselines
RUN pip install --no-cache-dir "/src[train,onnxruntime,openvino,offline-weights,report]" && rm -rf /src

RUN useradd --create-home --uid 10001 edgecnn && mkdir /work /store && chown edgecnn /work && chmod 1777 /store
USER edgecnn
ENV EDGECNN_STORE=/store
VOLUME /store
WORKDIR /work
ENTRYPOINT ["edgecnn"]
CMD ["--help"]
