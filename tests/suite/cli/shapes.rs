//! The settings for other people's events: each reads the event beside it.

use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// What `plan` says to the example of this name, published by the routing key.
fn plan(name: &str, routing_key: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/producers/shapes");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimecast-eventd"));
    command.args(["plan", "--json", "--routing-key", routing_key, "--config"]);
    command.arg(folder.join(format!("{name}.toml"))).arg(folder.join(format!("{name}.json")));
    let output = command.env_clear().output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{name}: {text} {:?}", output.stderr))
}

#[test]
fn each_shape_is_read_by_the_settings_beside_it() {
    for (name, routing_key, id, groups) in [
        ("okta", "okta.user.lifecycle.deactivate", "b3f1c5a0-7d7e-11f0-9c7a-2f1d4b6c8e10", 0),
        ("scim", "scim.users.deactivated", "2819c223-7f76-453a-919d-413861904646", 0),
        ("hr", "hr.de.terminated", "T-20261121-17", 2),
    ] {
        let plan = plan(name, routing_key);
        assert_eq!(
            (&plan["disposition"], &plan["id"]),
            (&json!("ack"), &json!(id)),
            "{name}: {plan}"
        );
        assert_eq!(plan["type"], "user.offboarded");
        let calls = plan["calls"].as_array().unwrap();
        let removals =
            calls.iter().filter(|call| call["body"]["data"][0].get("emailAddress").is_some());
        let who: Vec<&Value> =
            removals.map(|call| &call["body"]["data"][0]["emailAddress"]).collect();
        assert_eq!(who.len(), groups.max(1), "{name}: {plan}");
        assert!(who.iter().all(|who| **who == "ada@example.com"), "{name}: {plan}");
    }
}
