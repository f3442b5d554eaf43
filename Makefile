# make run     the sidecar in front of two stand-ins, with lines to paste
# make demo-run a template through validate, execute, trace, replay and diff on the demo
# make release the binary to run in production: target/profiled/camarad-sidecar
# make test    everything that must hold; what .ci/run calls
# make check   formatting, lints, documentation, and licences where cargo-deny is installed
# make fuzz    random requests through the sidecar to a real Flask; DIFFERENTIAL_SEED repeats a run
# make bench   measurements beside HAProxy, nginx and bare Pingora, and the instruction budget;
#              make bench-full takes longer
# make bench-retrieval the baseline of RAG v2: how well and how fast embedded indexes answer
# make soak    ten minutes of mixed faults at load, which must leave nothing behind

.PHONY: run demo-run release test fuzz check bench bench-full bench-retrieval soak needs needs-bench needs-release needs-test

run: needs
	cargo run --quiet -- run --demo

demo-run: needs # writes state/demo-run/
	cargo build --quiet
	scripts/demo-run.sh target/debug/camarad-sidecar state/demo-run

release: needs-release # three builds, a quarter of an hour on two cores
	@scripts/release.sh

test: needs-test
	cargo test --quiet
	cargo test --quiet -p camarad-retrieval
	cargo test --quiet -p camarad-bench

fuzz: needs-test
	@seed=$${DIFFERENTIAL_SEED:-$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}; \
	echo "DIFFERENTIAL_SEED=$$seed"; \
	DIFFERENTIAL_SEED=$$seed DIFFERENTIAL_COUNT=$${DIFFERENTIAL_COUNT:-100000} \
	cargo test --quiet -p camarad-sidecar --test e2e -- differential --nocapture

check: needs
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	cargo check --quiet -p camarad-sidecar # as it is built without the tests' crates
	RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --document-private-items
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check; \
	else echo "cargo-deny is not installed: licences and advisories were not checked"; fi

bench: needs-bench # under five minutes; writes bench/results/peers.md, peers.json, egress.md and instructions.md
	cargo build --quiet --release -p camarad-sidecar -p camarad-bench
	target/release/camarad-bench peers --quick
	target/release/camarad-bench egress
	target/release/camarad-bench instructions

RETRIEVAL = target/release/retrieval eval --dataset bench/retrieval/dataset

bench-retrieval: needs # writes bench/results/retrieval.md, .json and retrieval-others.md
	cargo build --quiet --release -p camarad-retrieval
	$(RETRIEVAL) --system bm25 --system bm25-unscoped --system fts5 --system fts5-unscoped \
	  --markdown bench/results/retrieval.md --json bench/results/retrieval.json
	$(RETRIEVAL) --system bm25 --system fts5 --others 20000 \
	  --markdown bench/results/retrieval-others.md

bench-full: needs-bench release # all of bench/results/ but the soak, and the table of the README
	cargo build --quiet --release -p camarad-sidecar -p camarad-bench
	target/profiled/camarad-bench peers --full
	target/profiled/camarad-bench egress
	target/profiled/camarad-bench clients
	target/profiled/camarad-bench lanes
	target/profiled/camarad-bench dashboard
	target/profiled/camarad-bench curves
	target/release/camarad-bench instructions

soak: needs # writes bench/results/soak.md; SOAK_SECONDS sets the length
	cargo build --quiet --release -p camarad-sidecar -p camarad-bench
	target/release/camarad-bench soak

# Pingora's zlib and the cryptography are built by cmake and a C compiler.
needs:
	@sh scripts/needs.sh

# And real servers, nginx in front and Flask behind, and a browser.
needs-test:
	@sh scripts/needs.sh test

# And what reads a compiler's profile.
needs-release:
	@sh scripts/needs.sh release

# And what the sidecar is measured beside.
needs-bench:
	@sh scripts/needs.sh bench
