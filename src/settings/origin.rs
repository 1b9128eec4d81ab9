//! Where the value of a setting was found.

use std::fmt;

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag, by its name with dashes.
    Flag(String),
    /// An environment variable.
    Variable(String),
    /// A file with a secret, named by a variable.
    SecretFile(String),
    /// A credential that systemd has put into the service's folder, by its name.
    Credential(String),
    /// The settings file.
    File(String),
    /// The built-in default.
    Default,
    /// Nowhere.
    Missing,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(flag) => write!(formatter, "flag {flag}"),
            Origin::Variable(variable) => write!(formatter, "variable {variable}"),
            Origin::SecretFile(variable) => write!(formatter, "file named by {variable}"),
            Origin::Credential(name) => write!(formatter, "credential {name}"),
            Origin::File(path) => write!(formatter, "file {path}"),
            Origin::Default => formatter.write_str("default"),
            Origin::Missing => formatter.write_str("not set"),
        }
    }
}
