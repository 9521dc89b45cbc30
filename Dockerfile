# One image for every server: `docker run modelyard rest`, `grpc`, `dashboard`, or any other command of modelyard.

ARG PYTHON=3.12
FROM python:${PYTHON}-slim AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_INPUT=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore


# The locked packages, and nothing in them that a running service never reads.
FROM base AS packages
RUN python -m venv --without-pip /opt/modelyard
WORKDIR /build
ARG LOCK=image.txt
COPY requirements/${LOCK} .
RUN pip --python /opt/modelyard/bin/python install --no-deps --require-hashes --only-binary :all: \
    --no-compile -r "$LOCK"
COPY docker/slim_elf.py .
ARG SLIM=1
RUN if [ "$SLIM" = 1 ]; then cd /opt/modelyard/lib/python3*/site-packages \
        && find . -type d \( -name tests -o -name test -o -name include \) -prune -exec rm -r {} + \
        && find . -type f \( -name '*.a' -o -name '*.c' -o -name '*.cpp' -o -name '*.h' -o -name '*.hpp' -o -name '*.pxd' \
            -o -name '*.pyx' -o -name '*.pyi' -o -name '*.js.map' \) -delete \
        && rm -rf pyarrow/*flight* pyarrow/*_s3* pyarrow/libarrow_python.so pyarrow/libarrow_python.so.*.* \
            PIL/_avif.* pillow.libs/libavif* catboost/hnsw \
        && python /build/slim_elf.py .; fi \
    && /opt/modelyard/bin/python -m compileall -q -j 0 /opt/modelyard/lib


# The project as a wheel, installed beside the packages but in a tree of its own.
FROM base AS project
COPY requirements/image-build.txt /build/
RUN pip install --require-hashes --only-binary :all: -r /build/image-build.txt
COPY pyproject.toml README.md CHANGELOG.md LICENSE /src/
COPY modelyard /src/modelyard
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /build /src \
    && python -m venv --without-pip /opt/modelyard \
    && pip --python /opt/modelyard/bin/python install --no-deps --no-index --root /tree /build/modelyard-*.whl


FROM base
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Modelyard" \
      org.opencontainers.image.description="Train, judge, serve and retire models on tables" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"

# Group 0 with the owner's rights: whoever the image is run as (`--user 12345`) is in that group and can use a new volume.
RUN useradd --uid 10001 --gid 0 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin modelyard \
    && install --directory --owner 10001 --group 0 --mode 0775 /data
COPY --from=packages /opt/modelyard /opt/modelyard
COPY --from=project /tree /

# LightGBM asks the system for OpenMP, which this base lacks: it gets the library that scikit-learn brings.
RUN ln -s /opt/modelyard/lib/python3*/site-packages/scikit_learn.libs/libgomp-*.so.* \
        "/usr/lib/$(uname -m)-linux-gnu/libgomp.so.1" \
    && /opt/modelyard/bin/python -c "import lightgbm"

# OpenMP's threads wait without spinning: scikit-learn loads it before LightGBM could ask for that.
# A name in the Host header that nobody gave the server is how a browser is turned against it (docs/deploy.md).
ENV PATH=/opt/modelyard/bin:$PATH \
    HOME=/tmp \
    OMP_WAIT_POLICY=passive \
    MODELYARD_HOST=0.0.0.0 \
    MODELYARD_ALLOWED_HOSTS=localhost \
    MODELYARD_STORAGE_DIR=/data
WORKDIR /data
USER 10001
EXPOSE 8000 50051 8501
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["modelyard", "health"]
ENTRYPOINT ["modelyard"]
CMD ["up"]
