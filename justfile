# What can be done here: `just --list`.

# List what can be done
default:
    @just --list

# The first ring of tests: needs nothing but Rust
test:
    cargo test

# The second ring: real cosign, real registries (builds them the first time, minutes)
e2e:
    tests/tools/install
    cargo test --features e2e --test e2e

# The second ring in a cluster: a real API server and Helm (needs root or sudo; builds them the first time)
cluster:
    tests/tools/install
    cargo test --features e2e --test cluster

# A cluster to play in, until Ctrl-C
playground:
    tests/cluster/playground

# What the chart renders: lint it, compare with tests/data/chart, hold it to the OpenAPI of Kubernetes
chart:
    tests/tools/install helm kubeconform kubernetes-openapi
    cargo test --test chart
    cargo test --features e2e --test e2e -- chart

# The same, and write the renderings and the definitions of resources anew
chart-record:
    tests/tools/install helm
    cargo run -- crds > charts/vouchsafe/files/crds.yaml
    VOUCHSAFE_RECORD=1 cargo test --features e2e --test e2e -- "chart: the rendering"
    INSTA_UPDATE=always cargo test --test chart

# The image, where there is a container engine
image:
    docker build -t vouchsafe .

# Requests and time per admission, time per verification
bench:
    cargo bench --bench registry_requests --bench verification

# Fuzz the decoders: SECONDS for each target (30), all targets or those that are named
fuzz *ARGS:
    tests/fuzz/run {{ARGS}}

# What CI runs
check:
    .ci/run

# Format the code
fmt:
    cargo fmt

# See it work
demo:
    cargo run -- demo

# Record evidence anew with real tools: all groups, or those that are named
record *GROUPS:
    tests/tools/record {{GROUPS}}
