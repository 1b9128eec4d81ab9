//! How long the steps of the pure core take: `cargo bench --bench core`.

mod path;

use divan::Bencher;
use path::Core;

fn main() {
    divan::main();
}

#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    let core = Core::new();
    bencher.bench_local(|| core.parse());
}

#[divan::bench]
fn plan(bencher: Bencher<'_, '_>) {
    let core = Core::new();
    let event = core.parse();
    bencher.bench_local(|| core.plan(&event));
}

#[divan::bench]
fn sign(bencher: Bencher<'_, '_>) {
    let core = Core::new();
    let call = core.plan(&core.parse());
    bencher.bench_local(|| core.sign(&call));
}

#[divan::bench]
fn verdict(bencher: Bencher<'_, '_>) {
    let core = Core::new();
    bencher.bench_local(|| core.verdict());
}

#[divan::bench]
fn settle(bencher: Bencher<'_, '_>) {
    let core = Core::new();
    bencher.with_inputs(|| core.verdict()).bench_local_values(|outcome| core.settle(outcome));
}

#[divan::bench]
fn all(bencher: Bencher<'_, '_>) {
    let core = Core::new();
    bencher.bench_local(|| core.path());
}
