//! The vendor's error codes and what each means for a message: the one code table.

use crate::command::Operation;
use std::fmt::Write as _;

/// What a code says about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// What the operation was to bring about holds already.
    AlreadyGone(Operation),
    /// The item is refused for good.
    Rejected,
    /// Refused, for the item's sake or for want of a permission: other calls have to tell.
    Forbidden,
    /// The caller is refused: credentials, keys, permissions or region. Not the item's fault.
    Unauthorised,
    /// A passing fault.
    Unavailable,
}

impl Class {
    fn label(self) -> &'static str {
        match self {
            Class::AlreadyGone(_) => "already_gone",
            Class::Rejected => "rejected",
            Class::Forbidden => "forbidden",
            Class::Unauthorised => "unauthorised",
            Class::Unavailable => "unavailable",
        }
    }
}

/// One row of the table. A code that ends in `*` stands for every code that begins so.
struct Row(&'static str, Class, &'static str);

/// Codes that are not in it are decided by the status of the reply; with a status of success they
/// are refusals, because an unknown word must never count as success.
const TABLE: &[Row] = &[
    Row(
        "err_folder_email_address_not_found",
        Class::AlreadyGone(Operation::RemoveGroupMember),
        "the address or domain is not in the group",
    ),
    Row(
        "err_managed_url_not_found",
        Class::AlreadyGone(Operation::DeleteManagedUrl),
        "there is no such managed URL entry",
    ),
    Row("err_validation_*", Class::Rejected, "a field of the item is not valid"),
    Row("err_deserialise", Class::Rejected, "the body could not be read"),
    Row(
        "err_xdk_operation_forbidden_for_address",
        Class::Forbidden,
        "this address or group may not be changed, or the role lacks the permission",
    ),
    Row(
        "err_xdk_invalid_signature",
        Class::Unauthorised,
        "wrong access, secret or application key",
    ),
    Row(
        "err_developer_key",
        Class::Unauthorised,
        "wrong application id; known to pass now and then",
    ),
    Row(
        "err_xdk_binding_expired",
        Class::Unauthorised,
        "the keys are past their time, make new ones",
    ),
    Row("err_audit_log_incorrect_region", Class::Unauthorised, "the base URL is of another region"),
    Row("token_expired", Class::Unauthorised, "the access token is past its time"),
    Row("token_verification_failed", Class::Unauthorised, "the access token is not accepted"),
    Row("unauthorized*", Class::Unauthorised, "the access token is not accepted, in any spelling"),
    Row("app_forbidden", Class::Unauthorised, "the application lacks the API product"),
    Row("invalid_client", Class::Unauthorised, "wrong client id or client secret"),
    Row("GatewayTimeout", Class::Unavailable, "the vendor's gateway got no answer"),
];

/// What `code` says, when the table has it. The vendor spells this one in several ways, one of them
/// with a space in it.
pub fn class(code: &str) -> Option<Class> {
    let row = TABLE.iter().find(|row| row.stands_for(code)).map(|row| row.1);
    let spelled = code.trim().to_ascii_lowercase().replace("unauthorised", "unauthorized");
    row.or_else(|| spelled.starts_with("unauthorized").then_some(Class::Unauthorised))
}

/// The table as text, for people.
pub fn table() -> String {
    let mut text = format!("{:<42} {:<13} {}\n", "CODE", "OUTCOME", "MEANING");
    for Row(code, class, meaning) in TABLE {
        writeln!(text, "{code:<42} {:<13} {meaning}", class.label())
            .expect("writing to a string cannot fail");
    }
    text.push_str(
        "\nforbidden: the item's fault once another item of the operation was done; until then \
         the lane pauses.\n\
         Any other code: refused with the message when the reply says success or 4xx,\n\
         a passing fault with 404, 405, 408, 410 or 5xx, forbidden with 403, bad credentials with \
         401 or 418.\n\
         A reply that is not the vendor's own is a passing fault, whatever its status.\n",
    );
    text
}

impl Row {
    fn stands_for(&self, code: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => code.starts_with(beginning),
            None => code == self.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_every_ending_and_nothing_else_is_guessed() {
        assert_eq!(class("err_validation_null"), Some(Class::Rejected));
        assert_eq!(class("err_folder_not_found"), None);
        for spelling in ["unauthorized", "Unauthorized Request", "UNAUTHORISED", "unauthorized_x"] {
            assert_eq!(class(spelling), Some(Class::Unauthorised), "{spelling}");
        }
        assert_eq!(class("err_managed_url_not_found_2"), None);
    }

    #[test]
    fn the_printed_table_has_every_code() {
        let text = table();
        assert!(TABLE.iter().all(|row| text.contains(row.0) && text.contains(row.2)));
        let outcome = |code: &str| {
            let line = text.lines().find(|line| line.starts_with(code)).unwrap();
            line.split_whitespace().nth(1).unwrap()
        };
        assert_eq!(outcome("err_managed_url_not_found"), "already_gone");
        assert_eq!(outcome("err_deserialise"), "rejected");
        assert_eq!(outcome("token_expired"), "unauthorised");
        assert_eq!(outcome("GatewayTimeout"), "unavailable");
        assert_eq!(outcome("err_xdk_operation_forbidden_for_address"), "forbidden");
    }
}
