//! Where a field stands, as a JSON Pointer (RFC 6901).

use super::json::{Json, Object};
use std::collections::BTreeMap;
use std::fmt;

/// A JSON Pointer into an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(String);

/// The fields that stand elsewhere than they are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pointers(BTreeMap<String, Pointer>);

impl Pointer {
    /// Parses a pointer to something within an object.
    ///
    /// # Errors
    ///
    /// What would be right.
    pub fn parse(text: &str) -> Result<Pointer, &'static str> {
        if !text.starts_with('/') {
            return Err("must be a JSON Pointer such as /user/profile/email");
        }
        let is_escape = |part: &str| part.starts_with(['0', '1']);
        if !text.split('~').skip(1).all(is_escape) {
            return Err("has a ~ that is no escape; write it as ~0");
        }
        Ok(Pointer(text.to_owned()))
    }

    /// What stands there, if anything does.
    pub(super) fn find<'j, 'a>(&self, object: &'j Object<'a>) -> Option<&'j Json<'a>> {
        Json::find(object, self.0.strip_prefix('/').expect("a pointer begins with a slash"))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Pointers {
    /// Every field stands where it is called.
    pub const NONE: &'static Pointers = &Pointers(BTreeMap::new());

    /// Lets `field` be read from where `pointer` says.
    pub fn point(&mut self, field: &str, pointer: Pointer) {
        self.0.insert(field.to_owned(), pointer);
    }

    /// Where `field` stands, if not where it is called.
    pub fn of(&self, field: &str) -> Option<&Pointer> {
        self.0.get(field)
    }
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    #[test]
    fn a_pointer_finds_what_the_standard_says_it_does() {
        let body =
            br#"{"a/b":{"m~n":["zero",{"":"deep"}]},"":"nameless","plain":"1","~1":"escaped"}"#;
        let body = json::object(body).unwrap();
        for (pointer, expected) in [
            ("/plain", Some("1")),
            ("/", Some("nameless")),
            ("/a~1b/m~0n/1/", Some("deep")),
            ("/a~1b/m~0n/0", Some("zero")),
            ("/~01", Some("escaped")),
            ("/a~1b/m~0n/01", None),
            ("/a~1b/m~0n/00", None),
            ("/a~1b/m~0n/+0", None),
            ("/a~1b/m~0n/2", None),
            ("/a~1b/m~0n/-", None),
            ("/plain/deeper", None),
            ("/nothing", None),
        ] {
            let found = Pointer::parse(pointer).unwrap().find(&body).and_then(Json::as_text);
            assert_eq!(found, expected, "{pointer}");
        }
    }

    #[test]
    fn what_is_no_pointer_into_an_object_is_refused() {
        for text in ["", "email", "#/email", "/a~", "/a~2b", " /a"] {
            assert!(Pointer::parse(text).is_err(), "{text:?}");
        }
    }
}
