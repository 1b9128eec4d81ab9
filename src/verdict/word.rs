//! The daemon's own words where the vendor has no code: what each means, and what to do.

/// A word, what it means and what to do. One that ends in `*` stands for every word that begins so.
const TABLE: &[[&str; 3]] = &[
    ["timeout", "the vendor did not answer in time", "see its status page and the way to it"],
    [
        "connect",
        "no connection to the vendor came about",
        "see mimecast.base_url, the proxy, the name server and the network policy",
    ],
    ["connection", "the connection to the vendor broke", "see the proxy and the network between"],
    [
        "http_404",
        "nothing answers at the path of the call",
        "set mimecast.base_url to the API's own address; a tenant whose API 2.0 does not have this call needs mimecast.auth = \"hmac\"",
    ],
    [
        "http_*",
        "whoever answered gave this status and no code",
        "see whether it is the vendor: mimecast.base_url, the proxy, its status page",
    ],
    [
        "no_verdict",
        "the reply is not the vendor's own, or has no verdict in it",
        "see mimecast.base_url and what stands between: a proxy or a portal may answer for it",
    ],
    ["no_code", "the vendor refused without a code", "see the detail"],
    [
        "reply_too_large",
        "the reply is larger than 32 KiB, a page of a list than 1 MiB, or its request id than 1 KiB",
        "see who answers: mimecast.base_url, the proxy",
    ],
    [
        "request",
        "the request could not be made",
        "see the credentials for what fits into no header",
    ],
    ["token", "the access token could not be fetched", "see mimecast.token_url"],
    ["no_token", "the reply to the request for a token has none", "see mimecast.token_url"],
    [
        "group_not_found",
        "no group has exactly this name",
        "see how it is written, in upper and lower case too; the detail names a group that is nearly called so",
    ],
    [
        "no_groups",
        "Mimecast lists no group at all, which a role that may not see groups gets as well",
        "see the permissions of the role and whose tenant the credentials are of",
    ],
    [
        "ambiguous",
        "several groups have exactly this name",
        "rename all but one and replay it, or send the event anew with the id",
    ],
    [
        "too_many_entries",
        "more than 1,000 managed URL entries block exactly this URL",
        "see who has made them, delete them in Mimecast, and replay it",
    ],
    [
        "not_listed",
        "the inventory of managed URLs does not show this id, which may be another one of an entry",
        "send the event anew with the id that the inventory shows, or with the URL",
    ],
    [
        "blocked_by_another_entry",
        "another entry blocks the URL: one for its whole host, or for the page under the other scheme",
        "see the entry that the detail names: delete it at Mimecast and replay the event, or discard the event",
    ],
    [
        "unreadable_entry",
        "an entry that may block the URL cannot be read, so that nothing shows that the URL is free",
        "see the entry that the detail names: create it again at Mimecast, then replay the event",
    ],
    [
        "unreadable_member",
        "the group lists a name that is no plain address or domain and may be the member",
        "see the members of the group at Mimecast, correct the name there, then replay the event",
    ],
    [
        "effect_not_seen",
        "the vendor said that it was done, and the member is still in the group",
        "look at the group there; a directory may put the member back",
    ],
    [
        "still_listed",
        "the URL was still blocked after its entries were deleted",
        "see who blocks it again, then replay it",
    ],
    [
        "inconsistent_list",
        "the pages of a list did not fit together",
        "replay it: the list changed while it was read",
    ],
    [
        "out_of_time",
        "quota or commands left no time for all of it",
        "nothing: it goes on by itself",
    ],
    ["paused", "its lane was paused", "nothing: it goes on by itself"],
    [
        "not_begun",
        "the lane stopped or was paused before the message was begun",
        "nothing: it is at the end of its queue again",
    ],
    [
        "stopped",
        "a stop or a pause interrupted the message",
        "nothing: it is at the end of its queue again",
    ],
    ["health_call", "a health call ended in an error of the daemon", "report it, with the log"],
    ["not_due", "its time has not come", "nothing: it waits for its effectiveAt"],
    ["panic", "the daemon failed over it", "report it, with the log"],
    ["malformed", "it is not an event, or a field of it is wrong", "see the detail: it says where"],
    ["unsupported", "it is an event of a kind that the daemon does not handle", "see the detail"],
];

/// What a word of ours means, and what to do.
pub(super) fn explained(word: &str) -> Option<(&'static str, &'static str)> {
    let stands_for = |known: &str| match known.strip_suffix('*') {
        Some(beginning) => word.starts_with(beginning),
        None => word == known,
    };
    let [_, meaning, advice] = TABLE.iter().find(|[known, ..]| stands_for(known))?;
    Some((meaning, advice))
}

/// The rows of the table.
pub(super) fn rows() -> impl Iterator<Item = [&'static str; 3]> {
    TABLE.iter().copied()
}
