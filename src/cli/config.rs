//! `config`: the settings as this process finds them, and the schema of their file.

use super::terminal::{OutputError, plain, say, say_json, table};
use crate::settings::{Address, Mistake, Origin, SETTINGS, Setting, Settings, Sources};
use serde_json::{Map, Value, json};
use url::{Position, Url};

/// Values of a setting that is one of several words.
const WORDS: [(&str, &[&str]); 4] = [
    ("amqp.topology", &["declare", "verify"]),
    ("mimecast.auth", &["hmac", "oauth2"]),
    ("log.format", &["json", "text"]),
    ("log.level", &["error", "warn", "info", "debug"]),
];

/// The least and the most of settings that are numbers, by the ends of their keys.
const RANGES: [(&str, u32, u32); 4] = [
    (".prefetch", 1, 1000),
    (".delivery_limit", 1, 1000),
    ("retry.attempts", 1, 100),
    ("policy.max_commands", 1, 100_000),
];

/// Settings that are durations, by the ends of their keys.
const DURATIONS: [&str; 7] = [
    "timeout",
    "_delay",
    ".heartbeat",
    ".window",
    ".max_event_age",
    ".group_cache",
    "drain_timeout",
];

/// Prints every setting with its value and where it comes from; secrets are not shown, nor passwords in URLs. What is wrong with
/// them is given back.
///
/// # Errors
///
/// [`OutputError`].
pub fn show(sources: &Sources, as_json: bool) -> Result<Result<(), Vec<Mistake>>, OutputError> {
    let rows = SETTINGS.iter().map(|setting| {
        let (value, origin) = sources.value(setting.key);
        let value = value.map(|value| shown(setting, value.reveal()));
        (setting.key, value, origin)
    });
    if as_json {
        for (key, value, origin) in rows {
            say_json(&json!({"key": key, "value": value, "origin": origin.to_string()}))?;
        }
    } else {
        let rows = rows.map(|(key, value, origin)| {
            let origin = if origin == Origin::Missing { "-".into() } else { origin.to_string() };
            vec![key.to_owned(), value.map_or("-".into(), |it| plain(&it, 80)), origin]
        });
        say(&table(&["KEY", "VALUE", "FROM"], rows))?;
    }
    Ok(Settings::read(sources.clone()).map(|_| ()))
}

/// The value of a setting without what is secret in it. Of a URL that is the password, and all of it where a password
/// may stand anywhere, because it cannot be read.
fn shown(setting: &Setting, value: &str) -> String {
    let hidden = || "[secret]".to_owned();
    match (setting.key, setting.secret) {
        ("amqp.url", _) => match Address::parse(value) {
            Ok(_) => {
                let parts = Address::parts(value).into_iter();
                let shown = parts.map(|part| without_password(part).unwrap_or_else(hidden));
                shown.collect::<Vec<_>>().join(",")
            }
            Err(_) => hidden(),
        },
        ("amqp.management_url", _) => without_password(value).unwrap_or_else(hidden),
        (_, true) => hidden(),
        (_, false) if value.contains('@') && value.contains("//") => {
            without_password(value).unwrap_or_else(hidden)
        }
        (_, false) => value.to_owned(),
    }
}

/// The URL with three stars for its password; nothing where an @ stands where none belongs, so that the password may
/// have been taken for another part.
fn without_password(text: &str) -> Option<String> {
    let mut url = Url::parse(text.trim()).ok().filter(Url::has_host)?;
    let rest = &url[Position::BeforeHost..];
    if rest.contains('@') {
        return None;
    }
    if url.password().is_some() {
        url.set_password(Some("***")).ok()?;
    }
    Some(url.into())
}

/// Prints the JSON Schema of the settings file, for editors and pipelines.
///
/// # Errors
///
/// [`OutputError`].
pub fn show_schema() -> Result<(), OutputError> {
    say(&serde_json::to_string_pretty(&schema()).expect("a schema is JSON"))
}

/// The JSON Schema of the settings file. Secrets have no place in that.
pub fn schema() -> Value {
    let mut root = object();
    root.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".into(), json!("Settings of mimecast-eventd"));
    for setting in SETTINGS.iter().filter(|setting| !setting.secret) {
        let mut place = &mut root;
        let path = path(setting.key);
        let (name, tables) = path.split_last().expect("a key has a name");
        for table in tables {
            let inner = properties(place).entry(table.clone()).or_insert_with(|| object().into());
            place = inner.as_object_mut().expect("tables are written as objects");
        }
        properties(place).insert(name.clone(), value(setting));
    }
    root.into()
}

fn object() -> Map<String, Value> {
    let object = json!({"type": "object", "additionalProperties": false, "properties": {}});
    object.as_object().cloned().unwrap_or_default()
}

fn properties(object: &mut Map<String, Value>) -> &mut Map<String, Value> {
    let properties = object.get_mut("properties").and_then(Value::as_object_mut);
    properties.expect("every table has them")
}

fn value(setting: &Setting) -> Value {
    let (key, default) = (setting.key, setting.default.unwrap_or_default());
    let texts = || json!({"type": "string"});
    let mut schema = if let Some((_, words)) = WORDS.iter().find(|(known, _)| *known == key) {
        json!({"enum": words})
    } else if let Some((_, least, most)) = RANGES.iter().find(|(end, ..)| key.ends_with(end)) {
        json!({"type": "integer", "minimum": least, "maximum": most})
    } else if DURATIONS.iter().any(|end| key.ends_with(end)) {
        json!({"type": "string", "pattern": "^ *([0-9]+ *[a-zA-Zµ]+ *)+$"})
    } else if default.starts_with('[') {
        json!({"type": "array", "items": texts()})
    } else if default.starts_with('{') {
        json!({"type": "object", "additionalProperties": texts()})
    } else if matches!(default, "true" | "false") {
        json!({"type": "boolean"})
    } else {
        texts()
    };
    schema["description"] = setting.help.into();
    schema
}

/// The parts of a key; one in quotes may hold points.
fn path(key: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for character in key.chars() {
        match character {
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            other => parts.last_mut().expect("there is one from the start").push(other),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(key: &str) -> &'static Setting {
        SETTINGS.iter().find(|it| it.key == key).unwrap()
    }

    #[test]
    fn of_a_url_all_is_shown_but_its_password_and_nothing_where_that_cannot_be_told_apart() {
        for (key, value, expected) in [
            (
                "amqp.url",
                "amqps://eventd:canary@broker:5671/prod",
                "amqps://eventd:***@broker:5671/prod",
            ),
            ("amqp.url", "amqp://broker/%2f", "amqp://broker/%2f"),
            (
                "amqp.url",
                "amqp://a:canary@one/v, amqp://a:canary@two/v",
                "amqp://a:***@one/v,amqp://a:***@two/v",
            ),
            ("amqp.url", "amqp://a:can,ary@one/v", "amqp://a:***@one/v"),
            ("amqp.url", "amqp://a:1/canary@one", "[secret]"),
            ("amqp.url", "canary", "[secret]"),
            ("amqp.url", "http://a:canary@one", "[secret]"),
            ("amqp.management_url", "https://a:canary@broker:15671", "https://a:***@broker:15671/"),
            ("amqp.management_url", "https://broker:15671/rabbit", "https://broker:15671/rabbit"),
            ("amqp.management_url", "https://a:1/canary@broker", "[secret]"),
            (
                "mimecast.base_url",
                "https://a:canary@eu-api.mimecast.com",
                "https://a:***@eu-api.mimecast.com/",
            ),
            ("mimecast.base_url", "https://eu-api.mimecast.com", "https://eu-api.mimecast.com"),
            ("mimecast.token_url", "//a:canary@host", "[secret]"),
            ("traces.endpoint", "http://a:b?canary@host", "[secret]"),
            ("log.level", "https://a:canary@host", "https://a:***@host/"),
            ("amqp.password", "canary", "[secret]"),
            ("amqp.exchange", "events", "events"),
        ] {
            assert_eq!(shown(setting(key), value), expected, "{key} {value}");
        }
    }
}
