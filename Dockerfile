# syntax=docker/dockerfile:1.7
# The image of cloudigrade: `docker build --tag cloudigrade .`. It also holds houndigrade, for machines that read disks.

# Both stages are of one Debian release: what is linked in the first must find its libraries in the second.
FROM rust:1.95-bookworm AS builder
# Kafka's client is built by it; all else that it is built with is there.
RUN apt-get update && apt-get install --yes --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# Only what is compiled, so that a change of documentation or tests compiles nothing anew.
COPY Cargo.toml Cargo.lock ./
COPY schemas schemas
COPY pipeline pipeline
COPY connectors connectors
COPY inspect inspect
COPY query query
COPY houndigrade houndigrade
COPY src src
# Packages and what was compiled are kept between builds. The folders are no part of the image, so the programs are taken out in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/build/target,sharing=locked \
    cargo build --release --locked --features kafka --bin cloudigrade && \
    cargo build --release --locked --package houndigrade --features sqs --bin houndigrade && \
    install -D --strip --target-directory=/out target/release/cloudigrade target/release/houndigrade

FROM debian:bookworm-slim AS runtime
LABEL org.opencontainers.image.title="cloudigrade" \
      org.opencontainers.image.description="How long, how many and how large the EC2 instances in AWS accounts were" \
      org.opencontainers.image.source="https://github.com/cloudigrade/cloudigrade" \
      org.opencontainers.image.licenses="Apache-2.0"
# The certificates of those who sign AWS's and brokers', and the library that Kafka's client has TLS from. The user is a number, which
# orchestrators can tell is not root.
RUN apt-get update && \
    apt-get install --yes --no-install-recommends ca-certificates libssl3 && \
    rm -rf /var/lib/apt/lists/* && \
    install -d --owner=10001 --group=10001 /data
COPY LICENSE /usr/share/doc/cloudigrade/LICENSE
COPY --chmod=0755 deploy/healthcheck /usr/local/bin/healthcheck
COPY --from=builder /out/cloudigrade /out/houndigrade /usr/local/bin/
# A library that is missing is found out while building, not at the first start.
RUN cloudigrade --version && houndigrade --version
# A container is reached by its own address, not by loopback.
ENV CLOUDIGRADE_DATA=/data \
    CLOUDIGRADE__SERVE__LISTEN=0.0.0.0:8080
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
# The first SIGTERM finishes what is under way.
STOPSIGNAL SIGTERM
# Whether the process answers. What is in the way of its work is no reason to end it, so /readyz is not asked here.
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=4 CMD ["healthcheck"]
ENTRYPOINT ["cloudigrade"]
CMD ["serve"]
