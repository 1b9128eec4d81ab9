//! Every fault that the fake knows: what it comes to and after how many attempts.

use super::{ATTEMPTS, BOTH, Pair, delete, remove_ada};
use crate::support::DEADLINE;
use crate::support::settings::hmac;
use fake_mimecast::{Fault, FaultKind, Operation};
use mimecast_eventd::verdict::Conclusion;
use std::collections::BTreeMap;

#[tokio::test]
async fn every_lasting_fault_comes_to_its_conclusion_after_its_attempts() {
    let fail = |code: &str| FaultKind::Fail { code: code.into(), message: String::new() };
    let flat = |status, code: &str| FaultKind::FlatFail { status, code: code.into() };
    let errors = |status, code: &str| FaultKind::ErrorsShape { status, code: code.into() };
    let oauth = |status, error: &str| FaultKind::OAuthShape { status, error: error.into() };
    let rows = [
        // Refused for good: once is enough.
        (fail("err_validation_null"), "rejected err_validation_null", 1),
        (fail("err_folder_not_found"), "rejected err_folder_not_found", 1),
        (errors(400, "err_deserialise"), "rejected err_deserialise", 1),
        // Nobody knows whether that is for good: a second try.
        (fail("err_managed_url_not_found"), "forbidden err_managed_url_not_found", 2),
        (fail("err_of_tomorrow"), "forbidden err_of_tomorrow", 2),
        (FaultKind::MixedFail { code: "err_new".into() }, "forbidden err_new", 2),
        // Already so.
        (fail("err_folder_email_address_not_found"), "not_found", 1),
        // Ours: one second try.
        (FaultKind::Unauthorized, "unauthorized err_xdk_invalid_signature", 2),
        (FaultKind::Expired, "unauthorized err_xdk_binding_expired", 2),
        (FaultKind::Forbidden, "unauthorized app_forbidden", 2),
        (fail("err_developer_key"), "unauthorized err_developer_key", 2),
        (flat(401, "token_expired"), "unauthorized token_expired", 2),
        (oauth(401, "invalid_client"), "unauthorized invalid_client", 2),
        // Not the vendor's voice, whatever the status: weather.
        (FaultKind::Html { status: 404 }, "unavailable http_404", 3),
        (FaultKind::Html { status: 403 }, "unavailable http_403", 3),
        (FaultKind::Html { status: 400 }, "unavailable http_400", 3),
        (errors(404, "err_validation_null"), "unavailable err_validation_null", 3),
        (FaultKind::status(400), "unavailable http_400", 3),
        (FaultKind::status(404), "unavailable http_404", 3),
        (FaultKind::status(405), "unavailable http_405", 3),
        (FaultKind::status(409), "unavailable http_409", 3),
        (FaultKind::status(413), "unavailable http_413", 3),
        (FaultKind::status(422), "unavailable http_422", 3),
        (FaultKind::status(401), "unavailable http_401", 3),
        (FaultKind::status(403), "unavailable http_403", 3),
        (FaultKind::status(407), "unavailable http_407", 3),
        // Passing, for all one knows: every attempt.
        (FaultKind::status(408), "unavailable http_408", 3),
        (FaultKind::status(500), "unavailable http_500", 3),
        (FaultKind::status(501), "unavailable http_501", 3),
        (FaultKind::status(502), "unavailable http_502", 3),
        (FaultKind::status(503), "unavailable http_503", 3),
        (FaultKind::status(504), "unavailable http_504", 3),
        (flat(504, "GatewayTimeout"), "unavailable GatewayTimeout", 3),
        (errors(500, "internal"), "unavailable internal", 3),
        (FaultKind::Html { status: 200 }, "unavailable no_verdict", 3),
        (FaultKind::Html { status: 502 }, "unavailable http_502", 3),
        (FaultKind::EmptyBody { status: 200 }, "unavailable no_verdict", 3),
        (FaultKind::EmptyBody { status: 204 }, "unavailable no_verdict", 3),
        (FaultKind::NotJson, "unavailable no_verdict", 3),
        (FaultKind::Reset, "unavailable connection", 3),
        (FaultKind::LoseReply, "unavailable connection", 3),
        (FaultKind::Truncated, "unavailable connection", 3),
    ];
    for generation in BOTH {
        let pair = Pair::new(generation).await;
        for (kind, expected, attempts) in &rows {
            let before = pair.operation_calls();
            pair.fake.inject(Fault::always(kind.clone()));
            let (outcome, history) = pair.execute(&remove_ada()).await;
            pair.fake.heal();
            assert_eq!((&*outcome, history.attempts), (*expected, *attempts), "{kind:?}");
            let calls = pair.operation_calls() - before;
            assert_eq!(calls, usize::try_from(*attempts).unwrap(), "{kind:?}");
            assert_eq!(history.first_failed_at.is_some(), outcome != "not_found");
        }
        assert_eq!(pair.fake.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn a_fault_that_passes_is_forgotten() {
    for generation in BOTH {
        for kind in [
            FaultKind::status(500),
            FaultKind::Html { status: 200 },
            FaultKind::Reset,
            FaultKind::Truncated,
            FaultKind::Unauthorized,
            FaultKind::fail("err_developer_key"),
        ] {
            let pair = Pair::new(generation).await;
            pair.fake.add_member("group-1", "ada@example.com");
            pair.fake.inject(Fault::next(kind.clone()));
            let (outcome, history) = pair.execute(&remove_ada()).await;
            assert_eq!((&*outcome, history.attempts), ("applied", 2), "{kind:?}");
            assert!(history.first_failed_at.is_some());
        }
    }
}

#[tokio::test]
async fn a_lost_reply_and_then_already_gone_is_success() {
    for generation in BOTH {
        let pair = Pair::new(generation).await;
        pair.fake.add_member("group-1", "ada@example.com");
        pair.fake.add_url("url-1");
        for command in [remove_ada(), delete("url-1")] {
            pair.fake.inject(Fault::next(FaultKind::LoseReply));
            let (outcome, history) = pair.execute(&command).await;
            assert_eq!((&*outcome, history.attempts), ("already_gone", 2));
        }
        assert!(!pair.fake.is_member("group-1", "ada@example.com") && !pair.fake.has_url("url-1"));
        assert_eq!(pair.fake.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn a_reply_that_takes_too_long_is_a_passing_fault() {
    for generation in BOTH {
        let pair = Pair::with(generation, &[ATTEMPTS, ("MIMECAST__TIMEOUT", "100ms")]).await;
        pair.fake.inject(Fault::always(FaultKind::Hang));
        let (outcome, history) = pair.execute(&delete("url-1")).await;
        assert_eq!((&*outcome, history.attempts), ("unavailable timeout", 3));
        // Long enough for a reply that does come.
        let pair = Pair::with(generation, &[ATTEMPTS, ("MIMECAST__TIMEOUT", "3s")]).await;
        pair.fake.add_url("url-1");
        pair.fake.inject(Fault::next(FaultKind::Hang));
        let (outcome, history) = pair.execute(&delete("url-1")).await;
        assert_eq!((&*outcome, history.attempts), ("applied", 2));
    }
}

#[tokio::test]
async fn a_vendor_that_is_not_there_is_a_passing_fault() {
    // Bound but not listening: the port is nobody else's, and connections to it are refused.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let pair = Pair::with(BOTH[0], &[ATTEMPTS, ("MIMECAST__BASE_URL", &url)]).await;
    let (outcome, history) = pair.execute(&remove_ada()).await;
    assert_eq!((&*outcome, history.attempts), ("unavailable connect", 3));
}

#[tokio::test]
async fn a_host_that_does_not_take_the_connection_is_given_up_soon() {
    // Room for one connection that nobody accepts: whoever comes after it gets no answer at all.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let _taken = tokio::net::TcpStream::connect(address).await.unwrap();
    let own = [
        ATTEMPTS,
        ("MIMECAST__BASE_URL", &*format!("http://{address}")),
        ("MIMECAST__CONNECT_TIMEOUT", "100ms"),
        ("MIMECAST__TIMEOUT", "4m"),
    ];
    let pair = Pair::with(BOTH[0], &own).await;
    let (outcome, history) =
        tokio::time::timeout(DEADLINE, pair.execute(&remove_ada())).await.expect("it gives up");
    assert_eq!((&*outcome, history.attempts), ("unavailable timeout", 3));
}

#[tokio::test]
async fn a_reply_may_take_longer_than_a_connection() {
    let own = [ATTEMPTS, ("MIMECAST__CONNECT_TIMEOUT", "1s")];
    for generation in BOTH {
        let pair = Pair::with(generation, &own).await;
        pair.fake.inject(Fault::next(FaultKind::Delay { milliseconds: 1_500 }));
        let (outcome, history) = pair.execute(&remove_ada()).await;
        assert_eq!((&*outcome, history.attempts), ("not_found", 1));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for generation in BOTH {
        for status in [301, 302, 303, 307, 308] {
            let pair = Pair::new(generation).await;
            pair.fake.add_url("url-1");
            let to = pair.fake.base_url() + Operation::DeleteManagedUrl.path();
            let redirect = FaultKind::Status {
                status,
                headers: BTreeMap::from([("location".into(), to)]),
                body: String::new(),
                content_type: String::new(),
            };
            pair.fake.inject(Fault::next(redirect).times(3));
            let (outcome, history) = pair.execute(&delete("url-1")).await;
            assert_eq!((outcome, history.attempts), (format!("unavailable http_{status}"), 3));
            assert_eq!(pair.operation_calls(), 3);
            assert!(pair.fake.has_url("url-1"));
        }
    }
}

#[tokio::test]
async fn a_reply_is_read_up_to_32_kibibytes_and_no_further() {
    let success = r#"{"meta":{"status":200},"data":[],"fail":[]}"#;
    for (size, expected) in [(32 * 1024, "applied"), (32 * 1024 + 1, "unavailable reply_too_large")]
    {
        let pair = Pair::new(BOTH[0]).await;
        let reply = FaultKind::Status {
            status: 200,
            headers: BTreeMap::new(),
            body: success.to_owned() + &" ".repeat(size - success.len()),
            content_type: "application/json".into(),
        };
        pair.fake.inject(Fault::always(reply));
        assert_eq!(pair.execute(&delete("url-1")).await.0, expected);
    }
}

#[tokio::test]
async fn a_400_without_a_word_condemns_an_item_only_when_the_vendor_is_heard_right_after_it() {
    for generation in BOTH {
        let pair = Pair::new(generation).await;
        let mute = || FaultKind::EmptyBody { status: 400 };
        let of_the_item = Fault::always(mute()).for_operation(Operation::RemoveGroupMember);
        pair.fake.inject(of_the_item.clone());
        assert_eq!(pair.execute(&remove_ada()).await.0, "rejected http_400");
        let readings = |pair: &Pair| {
            let calls = pair.fake.calls().into_iter();
            calls.filter(|call| call.operation == Operation::FindGroups).count()
        };
        assert_eq!(readings(&pair), 1);
        // Who said nothing at first may not have been the vendor.
        pair.fake.heal();
        pair.fake.inject(Fault::next(mute()).for_operation(Operation::RemoveGroupMember));
        let (outcome, history) = pair.execute(&remove_ada()).await;
        assert_eq!((outcome.as_str(), history.attempts), ("already_gone", 2));
        pair.fake.inject(of_the_item.clone());
        // A refusal is the voice as well.
        pair.fake
            .inject(Fault::next(FaultKind::fail("err_new")).for_operation(Operation::FindGroups));
        assert_eq!(pair.execute(&remove_ada()).await.0, "rejected http_400");
        assert_eq!(pair.fake.violations(), [""; 0]);
        // Whoever else answers so is not the vendor.
        for other in [mute(), FaultKind::Html { status: 404 }, FaultKind::Reset] {
            pair.fake.heal();
            pair.fake.inject(of_the_item.clone());
            pair.fake.inject(Fault::always(other).for_operation(Operation::FindGroups));
            assert_eq!(pair.execute(&remove_ada()).await.0, "unavailable http_400");
        }
    }
}

#[tokio::test]
async fn the_id_that_the_vendor_gave_a_request_is_told_unless_it_is_our_own() {
    let pair = Pair::new(hmac).await;
    for (header, told) in [("x-request-id", true), ("X-MC-Req-Id", true), ("x-other-id", false)] {
        let headers = [(header.to_owned(), "vendor-77".to_owned())].into();
        pair.fake.inject(Fault::next(FaultKind::Status {
            status: 503,
            headers,
            body: String::new(),
            content_type: String::new(),
        }));
        let deadline = tokio::time::Instant::now();
        let (conclusion, _) = pair.conclude(&remove_ada(), deadline).await;
        let Conclusion::Stuck(stuck) = conclusion else { panic!("{conclusion:?}") };
        let detail = stuck.fault.detail;
        assert_eq!(detail.contains("(vendor's request id vendor-77)"), told, "{header}: {detail}");
    }
}
