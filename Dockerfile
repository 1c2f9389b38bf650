# The image: one static program, the certificate authorities that registries are checked against, the licence. No shell, no package
# manager, nobody who is root.
#
#   docker build -t vouchsafe .
#
# The base is built for the platform that is asked for (musl for amd64 and arm64), so the same lines make every platform.
# The version of Rust is that of rust-toolchain.toml; tests/release.rs holds both together.
FROM rust:1.95.0-alpine AS build
RUN apk add --no-cache build-base ca-certificates
WORKDIR /src
# Puts the list of all crates into the program, where scanners find it: an image from scratch has no package database.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo install cargo-auditable --version 0.7.7 --locked
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo auditable build --locked --release --bin vouchsafe && \
    install -D target/release/vouchsafe /image/vouchsafe && \
    install -D -m 0644 LICENSE /image/LICENSE && \
    install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt && \
    # An image from scratch has no loader: what is not static would not start.
    ! ldd target/release/vouchsafe 2>/dev/null | grep -q '=>' && \
    /image/vouchsafe --version

FROM scratch
COPY --from=build /image /
USER 65532:65532
EXPOSE 8443 9090
ENTRYPOINT ["/vouchsafe"]
CMD ["--help"]
