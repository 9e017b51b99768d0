# The image of the operator, for who has a registry and a builder: `docker build .`, `podman build .`, `buildah build .`.
# Without either: `make image`, which makes the same with buildah alone (.ci/image); a test compares the two.
ARG RUST=1.95.0

FROM docker.io/library/rust:${RUST}-bookworm AS build
WORKDIR /src
# The date of what goes in, so that the same source gives the same bytes: `git log -1 --format=%ct`.
ARG SOURCE_DATE_EPOCH=0
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}
# Static: the image has no C library. Without paths of this machine. The target has to be named, or the flags would concern
# procedural macros too, which cannot be static.
ENV RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/src=. --remap-path-prefix=/usr/local/cargo=/cargo"
COPY Cargo.toml Cargo.lock rust-toolchain.toml ./
COPY src src
RUN target=$(uname -m)-unknown-linux-gnu \
 && cargo build --release --locked --bin portal-operator --target "$target" \
 && cp "target/$target/release/portal-operator" /portal-operator

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="portal-operator" \
      org.opencontainers.image.description="Declare a B2B customer portal in YAML: tenants, users, groups and invitations" \
      org.opencontainers.image.source="https://github.com/portal-operator/portal-operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Relays present certificates of public authorities.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /portal-operator /portal-operator
USER 65532:65532
EXPOSE 8080 9090
ENTRYPOINT ["/portal-operator"]
CMD ["run"]
