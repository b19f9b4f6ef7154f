# One image for every `kyb` command: worker, dispatcher, migration, command line, demo, sandbox.
#
#   docker build -t kyb-workers:0.1.0 .
#   docker run --rm --read-only --tmpfs /tmp --cap-drop ALL --network none --workdir /tmp kyb-workers:0.1.0 demo
#
# PYTHON_IMAGE may be any image with Python 3.11 or later and the venv module.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python3 -m venv /opt/kyb
COPY requirements.txt ./
RUN /opt/kyb/bin/pip install --quiet --only-binary :all: --require-hashes --requirement requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY messages messages
COPY clients clients
COPY workers workers
COPY sandbox sandbox
# Compile here, since the container's disk is read-only. Remove the build tools and the unused parts of libraries:
# pyarrow's network code, and all services of botocore but S3 and those that issue credentials.
RUN /opt/kyb/bin/pip install --quiet --no-deps --no-build-isolation . \
    && /opt/kyb/bin/pip uninstall --quiet --yes setuptools pip \
    && find /opt/kyb/lib -path '*/pyarrow/*' -type f \
        \( -name '*flight*' -o -path '*/tests/*' -o -path '*/include/*' \) -delete \
    && find /opt/kyb/lib -path '*/botocore/data/*' -prune -type d \
        ! -name s3 ! -name sts ! -name 'sso*' -exec rm -rf {} + \
    && /opt/kyb/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/kyb/lib

# The base image without its package managers and build tools. The package list stays, for vulnerability scanners.
FROM ${PYTHON_IMAGE} AS runtime
RUN rm -rf /usr/bin/apt* /usr/lib/apt /usr/lib/*/libapt-* /etc/apt /var/lib/apt /var/cache/apt /var/log/* \
        /usr/bin/dpkg* /usr/bin/perl* /usr/lib/*/perl-base /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/* \
        /usr/lib/python3*/ensurepip /usr/local/lib/python3*/ensurepip /usr/share/python-wheels \
        /usr/share/doc /usr/share/man /usr/share/locale /root/.cache \
    && echo 'kyb:x:10001:10001:kyb-workers:/tmp:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'kyb:x:10001:' >> /etc/group \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && mkdir -p /data/in /data/out \
    && chown -R 10001:10001 /data
COPY --from=build /opt/kyb /opt/kyb

# One layer, so that the removed files are not in a layer below.
FROM scratch
# hadolint ignore=DL3067
COPY --from=runtime / /
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kyb-workers" \
      org.opencontainers.image.description="Durable vendor jobs over RabbitMQ: Creditsafe DataStudio, Data8 and Sayari" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/opt/kyb/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    KYB_HTTP__HOST=0.0.0.0 \
    KYB_STORAGE__INPUTS=/data/in \
    KYB_STORAGE__RESULTS=/data/out
USER 10001:10001
WORKDIR /data
EXPOSE 9191
ENTRYPOINT ["kyb"]
CMD ["worker"]
