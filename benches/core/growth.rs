//! Takes hostile inputs of growing length, each through what reads it, for a program that counts
//! instructions: it is told of each call of [`measured`], and this tells what each was.

mod shapes;

use shapes::Shape;
use std::hint::black_box;

fn main() {
    let arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let sizes: Vec<usize> =
        arguments.map(|size| size.expect("the arguments are sizes in bytes")).collect();
    for (name, shape) in shapes::all() {
        for size in &sizes {
            let Shape { bytes, read } = shape(*size);
            measured(&*read);
            report(name, bytes);
        }
    }
}

/// Nothing else is counted.
#[inline(never)]
fn measured(read: &dyn Fn()) {
    black_box(read)();
}

#[expect(clippy::print_stdout, reason = "it is told to whoever counts")]
fn report(name: &str, bytes: usize) {
    println!("{bytes}\t{name}");
}
