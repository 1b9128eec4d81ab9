//! The vendor's error codes and what each means for a message: the one code table.

use super::word;
use crate::command::Operation;

/// What a code says about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Mimecast does not find what the operation was to remove.
    NotFound(Operation),
    /// The item is refused for good.
    Rejected,
    /// Refused, for the item's sake or for want of a permission: a health call decides.
    Forbidden,
    /// The caller is refused: credentials, keys, permissions or region. Not the item's fault.
    Unauthorized,
    /// A passing fault.
    Unavailable,
}

impl Class {
    fn label(self) -> &'static str {
        match self {
            Class::NotFound(_) => "not_found",
            Class::Rejected => "rejected",
            Class::Forbidden => "forbidden",
            Class::Unauthorized => "unauthorized",
            Class::Unavailable => "unavailable",
        }
    }
}

/// One row of the table: a code, its class, what it means and what to do. A code that ends in `*` stands
/// for every code that begins so.
struct Row(&'static str, Class, &'static str, &'static str);

/// Codes that are not in it are decided by the status of the reply; with a status of success they
/// are refusals, because an unknown code must never count as success.
const TABLE: &[Row] = &[
    Row(
        "err_folder_email_address_not_found",
        Class::NotFound(Operation::RemoveGroupMember),
        "the address or domain is not in the group",
        "nothing if it was removed before; else see whether the event names the right address and group",
    ),
    Row(
        "err_managed_url_not_found",
        Class::NotFound(Operation::DeleteManagedUrl),
        "there is no such managed URL entry",
        "nothing if it was deleted before; else see whether the event names the right entry",
    ),
    Row(
        "err_validation_*",
        Class::Rejected,
        "a field of the item is not valid",
        "compare the item with the tenant, and have its producer corrected",
    ),
    Row(
        "err_folder_*",
        Class::Rejected,
        "the group is not there, or cannot be changed so",
        "compare the id of the group with the tenant, and have its producer corrected",
    ),
    Row(
        "err_deserialise",
        Class::Rejected,
        "the body could not be read",
        "report it: the daemon has sent what the vendor cannot read",
    ),
    Row(
        "err_xdk_operation_forbidden_for_address",
        Class::Forbidden,
        "this address or group may not be changed, or the role lacks the permission",
        "see whether the group comes from a directory, then give the service user's role the permission",
    ),
    Row(
        "err_xdk_invalid_signature",
        Class::Unauthorized,
        "wrong access, secret or application key",
        "set the keys that belong together, and see that the clock is right",
    ),
    Row(
        "err_developer_key",
        Class::Unauthorized,
        "wrong application id; known to pass now and then",
        "wait a little; if it stays, set the application id that belongs to the keys",
    ),
    Row(
        "err_xdk_binding_expired",
        Class::Unauthorized,
        "the keys are past their time, make new ones",
        "make new keys for the service user, and let its authentication cache never end",
    ),
    Row(
        "err_audit_log_incorrect_region",
        Class::Unauthorized,
        "the base URL is of another region",
        "set mimecast.region to that of the tenant",
    ),
    Row(
        "token_expired",
        Class::Unauthorized,
        "the access token is past its time",
        "nothing: it is renewed; if it stays, see that the clock is right",
    ),
    Row(
        "token_verification_failed",
        Class::Unauthorized,
        "the access token is not accepted",
        "see mimecast.token_url and the region: the token must be of the same place",
    ),
    Row(
        "unauthorized*",
        Class::Unauthorized,
        "the access token is not accepted, in any spelling",
        "see mimecast.token_url and the region: the token must be of the same place",
    ),
    Row(
        "app_forbidden",
        Class::Unauthorized,
        "the application lacks the API product",
        "add the product of this operation to the API 2.0 application",
    ),
    Row(
        "invalid_client",
        Class::Unauthorized,
        "wrong client id or client secret",
        "set the client id and secret of the API 2.0 application; make a new secret if it is lost",
    ),
    Row(
        "GatewayTimeout",
        Class::Unavailable,
        "the vendor's gateway got no answer",
        "wait: it is tried again",
    ),
];

/// What `code` says, when the table has it. The vendor spells this one in several ways, one of them
/// with a space in it.
pub fn class(code: &str) -> Option<Class> {
    let row = TABLE.iter().find(|row| row.stands_for(code)).map(|row| row.1);
    let spelled = code.trim().to_ascii_lowercase().replace("unauthorised", "unauthorized");
    row.or_else(|| spelled.starts_with("unauthorized").then_some(Class::Unauthorized))
}

/// What `code` means, and what to do: one of the vendor's in the table, or a word of ours.
pub fn explained(code: &str) -> Option<(&'static str, &'static str)> {
    let row = TABLE.iter().find(|row| row.stands_for(code)).map(|row| (row.2, row.3));
    row.or_else(|| word::explained(code))
}

/// The words of ours: word, meaning, and what to do.
pub fn words() -> impl Iterator<Item = [&'static str; 3]> {
    word::rows()
}

/// The rows of the table: code, outcome, meaning, and what to do.
pub fn rows() -> impl Iterator<Item = [&'static str; 4]> {
    TABLE.iter().map(|Row(code, class, meaning, advice)| [*code, class.label(), *meaning, *advice])
}

/// What codes mean that are not in the table.
pub const OTHERS: &str = "\
forbidden: the item may not be changed, or the role lacks the permission.
The call is sent a second time, then a health call decides.
If Mimecast answers the health call, the call is made again. Refused once more, the item is dead-lettered as rejected.
If Mimecast does not answer the health call, the lane pauses.
A code that is not in the table: forbidden when the reply says success or 4xx,
a passing fault with 404, 405, 408, 409, 410, 423, 425 or 5xx, and where it names a rate limit or a quota,
bad credentials with 401 or 418.
An error that says \"retryable\": true is a passing fault, whatever its code.
A reply that is not Mimecast's own is a passing fault, whatever its status.";

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
        assert_eq!(class("err_folder_not_found"), Some(Class::Rejected));
        assert_eq!(class("err_unheard_of"), None);
        for spelling in ["unauthorized", "Unauthorized Request", "UNAUTHORISED", "unauthorized_x"] {
            assert_eq!(class(spelling), Some(Class::Unauthorized), "{spelling}");
        }
        assert_eq!(class("err_managed_url_not_found_2"), None);
    }

    #[test]
    fn every_code_has_a_meaning_and_something_to_do() {
        assert!(rows().all(|row| row.iter().all(|cell| !cell.is_empty())));
        let outcome = |code: &str| rows().find(|row| row[0] == code).unwrap()[1];
        assert_eq!(outcome("err_managed_url_not_found"), "not_found");
        assert_eq!(outcome("err_deserialise"), "rejected");
        assert_eq!(outcome("token_expired"), "unauthorized");
        assert_eq!(outcome("GatewayTimeout"), "unavailable");
        assert_eq!(outcome("err_xdk_operation_forbidden_for_address"), "forbidden");
        let explained_by_its_beginning = explained("err_validation_null");
        assert_eq!(explained_by_its_beginning, explained("err_validation_*"));
        assert_eq!(explained("err_of_tomorrow"), None);
    }
}
