//! The sieve, tried with what strangers could send: whatever comes in, lapin's parser can read what
//! comes out, and what was in order comes out as it came in.

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, parse_frame};
use amq_protocol::protocol::{AMQPClass, basic};
use amq_protocol::types::{AMQPValue, FieldTable};
use mimecast_eventd::broker::sieve::{
    ALTERED, BODY_SIZE, MAX_DEPTH, MAX_HEADERS, Sieve, Unreadable,
};
use mimecast_eventd::event::MAX_BODY;
use proptest::collection::vec;
use proptest::prelude::*;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEADERS_FLAG: u16 = 1 << 13;
const MESSAGE_ID_FLAG: u16 = 1 << 7;

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap();
    [&[kind], &channel.to_be_bytes()[..], &size.to_be_bytes(), payload, &[0xCE]].concat()
}

fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn deliver(exchange: &[u8], routing_key: &[u8]) -> Vec<u8> {
    let tag = 7_u64.to_be_bytes();
    [&[0, 60, 0, 60], &short(b"tag")[..], &tag, &[0], &short(exchange), &short(routing_key)]
        .concat()
}

fn header(size: u64, flags: u16, properties: &[u8]) -> Vec<u8> {
    [&[0, 60, 0, 0], &size.to_be_bytes()[..], &flags.to_be_bytes(), properties].concat()
}

fn headers(entries: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<_> =
        entries.iter().map(|(name, value)| [&short(name), &value[..]].concat()).collect();
    header(0, HEADERS_FLAG, &long(&entries.concat()))
}

fn text(text: &[u8]) -> Vec<u8> {
    [&b"S"[..], &long(text)].concat()
}

/// Tables in tables: the innermost is empty.
fn nested(depth: usize) -> Vec<u8> {
    (1..depth).fold([&b"F"[..], &long(&[])].concat(), |inner, _| {
        [&b"F"[..], &long(&[&short(b"k"), &inner[..]].concat())].concat()
    })
}

fn sift(bytes: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut out = Vec::new();
    Sieve::default().sift(bytes, &mut out)?;
    Ok(out)
}

/// The frames in `bytes` as the client reads them; all of them, or it is a failure.
fn parsed(mut bytes: &[u8]) -> Vec<AMQPFrame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (rest, frame) = parse_frame(bytes).unwrap_or_else(|error| panic!("{error:?}"));
        frames.push(frame);
        bytes = rest;
    }
    frames
}

/// What the client reads of a message whose deliver method and content header these are.
fn message(method: &[u8], header: &[u8]) -> (basic::Deliver, AMQPContentHeader) {
    let bytes = [frame(METHOD, 1, method), frame(HEADER, 1, header)].concat();
    let out = sift(&bytes).unwrap();
    let mut frames = parsed(&out).into_iter();
    match (frames.next(), frames.next(), frames.next()) {
        (
            Some(AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver)))),
            Some(AMQPFrame::Header(1, header)),
            None,
        ) => (deliver, header),
        other => panic!("{other:?}"),
    }
}

fn table(header: &AMQPContentHeader) -> FieldTable {
    header.properties.headers().clone().unwrap_or_default()
}

fn altered(header: &AMQPContentHeader) -> String {
    match table(header).inner().get(ALTERED) {
        Some(AMQPValue::LongString(words)) => words.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn texts_that_are_not_utf_8_have_a_question_mark_for_each_wrong_byte() {
    let properties = short(b"caf\xe9-\xc3\xa9\xff\xfe");
    let sent = header(3, MESSAGE_ID_FLAG, &properties);
    let (delivered, read) = message(&deliver(b"events", b"url.\xffunblock"), &sent);
    assert_eq!(delivered.routing_key.as_str(), "url.?unblock");
    assert_eq!(delivered.exchange.as_str(), "events");
    assert_eq!(read.properties.message_id().as_ref().unwrap().as_str(), "caf?-é??");
    assert_eq!(read.body_size, 3);
    assert!(altered(&read).contains("not UTF-8"), "{}", altered(&read));
    // A routing key alone is enough for the message to say it.
    let (_, read) = message(&deliver(b"events", b"\xff"), &header(3, 0, &[]));
    assert!(altered(&read).contains("not UTF-8"));
    let (_, read) = message(&deliver(b"events", b"key"), &headers(&[(b"na\xffme", text(b"x"))]));
    assert!(table(&read).inner().contains_key("na?me"));
    assert!(altered(&read).contains("not UTF-8"));
}

#[test]
fn what_is_fetched_and_what_is_returned_is_sifted_too() {
    let got =
        [&[0, 60, 0, 71], &[0; 8][..], &[0], &short(b"\xff"), &short(b"k\xff"), &[0; 4]].concat();
    let returned = [&[0, 60, 0, 50], &[1, 56][..], &short(b"NO\xff"), &short(b""), &short(b"\xff")];
    let out = sift(&[frame(METHOD, 1, &got), frame(METHOD, 2, &returned.concat())].concat());
    let out = out.unwrap();
    match &parsed(&out)[..] {
        [
            AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::GetOk(got))),
            AMQPFrame::Method(2, AMQPClass::Basic(basic::AMQPMethod::Return(returned))),
        ] => {
            assert_eq!((got.exchange.as_str(), got.routing_key.as_str()), ("?", "k?"));
            assert_eq!(returned.reply_text.as_str(), "NO?");
            assert_eq!(returned.routing_key.as_str(), "?");
        }
        other => panic!("{other:?}"),
    }
}

/// One method as it comes out, which the client can read.
fn sifted_method(payload: &[u8]) -> Vec<u8> {
    let out = sift(&frame(METHOD, 1, payload)).unwrap();
    assert!(matches!(parsed(&out)[..], [AMQPFrame::Method(1, _)]));
    out
}

#[test]
fn every_method_that_the_broker_sends_with_a_text_is_readable_wherever_the_text_is_cut() {
    let cut = &"no queue é".as_bytes()[.."no queue é".len() - 1];
    for (name, class, method, before, after) in [
        ("connection.open-ok", 10, 41, &b""[..], &b""[..]),
        ("connection.close", 10, 50, &[1, 64], &[0, 0, 0, 0]),
        ("connection.blocked", 10, 60, b"", b""),
        ("channel.close", 20, 40, &[1, 148], &[0, 50, 0, 10]),
        ("queue.declare-ok", 50, 11, b"", &[0; 8]),
        ("basic.consume-ok", 60, 21, b"", b""),
        ("basic.cancel", 60, 30, b"", &[0]),
        ("basic.cancel-ok", 60, 31, b"", b""),
        ("basic.get-empty", 60, 72, b"", b""),
    ] {
        let with = |text: &[u8]| [&[0, class, 0, method][..], before, &short(text), after].concat();
        let sifted = sifted_method(&with(cut));
        assert_eq!(sifted, frame(METHOD, 1, &with(b"no queue ?")), "{name}");
        let sifted = sifted_method(&with(&[0xC3; 255]));
        assert_eq!(sifted, frame(METHOD, 1, &with(&[b'?'; 255])), "{name}");
        // What is in order comes out as it came in.
        for text in ["", "no queue é"] {
            let sound = with(text.as_bytes());
            assert_eq!(sifted_method(&sound), frame(METHOD, 1, &sound), "{name}");
        }
        // A text that ends before its length says so is no AMQP.
        let ends_early = [&[0, class, 0, method][..], before, &[9, b'x']].concat();
        assert_eq!(sift(&frame(METHOD, 1, &ends_early)), Err(Unreadable::NotAmqp), "{name}");
    }
}

#[test]
fn a_close_of_a_channel_is_said_of_no_message_that_comes_after_it() {
    let close = [&[0, 20, 0, 40, 1, 148], &short(b"\xff")[..], &[0; 4]].concat();
    let bytes = [
        frame(METHOD, 1, &close),
        frame(METHOD, 1, &deliver(b"events", b"key")),
        frame(HEADER, 1, &header(3, 0, &[])),
    ]
    .concat();
    let AMQPFrame::Header(1, read) = &parsed(&sift(&bytes).unwrap())[2] else { panic!() };
    assert!(table(read).inner().is_empty());
}

#[test]
fn a_table_that_is_too_deep_is_left_out_and_what_stands_beside_it_stays() {
    // So deep that the client's recursion would overflow its stack; it fits into one frame.
    for depth in [MAX_DEPTH + 1, 9_000] {
        let sent = headers(&[(b"one", text(b"1")), (b"deep", nested(depth)), (b"two", text(b"2"))]);
        let (_, read) = message(&deliver(b"events", b"key"), &sent);
        let names: Vec<_> = table(&read).inner().keys().map(ToString::to_string).collect();
        assert_eq!(names, ["one", "two", ALTERED], "{depth}");
        assert!(altered(&read).contains("left out"));
    }
    let sent = headers(&[(b"deep", nested(MAX_DEPTH))]);
    let (_, read) = message(&deliver(b"events", b"key"), &sent);
    assert_eq!(table(&read).inner().keys().map(ToString::to_string).collect::<Vec<_>>(), ["deep"]);
}

#[test]
fn headers_that_take_too_much_room_are_left_out_those_of_strangers_and_never_ours() {
    let large = vec![b'x'; MAX_HEADERS / 2 + 100];
    let sent = headers(&[
        (b"first", text(&large)),
        (b"second", text(&large)),
        (b"third", text(b"3")),
        (b"x-eventd-attempts", [&b"l"[..], &9_u64.to_be_bytes()].concat()),
        (b"x-delivery-count", [&b"l"[..], &2_u64.to_be_bytes()].concat()),
    ]);
    let (_, read) = message(&deliver(b"", b"queue"), &sent);
    let names: Vec<_> = table(&read).inner().keys().map(ToString::to_string).collect();
    assert_eq!(names, ["first", "third", "x-delivery-count", "x-eventd-attempts", ALTERED]);
    // What the broker adds on a rung costs the stranger's headers no room.
    let sent = headers(&[
        (b"x-death", [&b"A"[..], &long(&text(&large))].concat()),
        (b"x-first-death-queue", text(b"queue")),
        (b"full", text(&vec![b'x'; MAX_HEADERS - 10])),
    ]);
    let (_, read) = message(&deliver(b"", b"queue"), &sent);
    let names: Vec<_> = table(&read).inner().keys().map(ToString::to_string).collect();
    assert_eq!(names, ["full", "x-death", "x-first-death-queue"]);
    // A stranger who calls a header like one of ours gets no more room for it.
    let sent = headers(&[(b"x-eventd-forged", text(&vec![b'x'; MAX_HEADERS]))]);
    let (_, read) = message(&deliver(b"events", b"key"), &sent);
    assert_eq!(table(&read).inner().len(), 1);
}

#[test]
fn no_header_comes_out_larger_than_the_frames_that_the_broker_has_offered() {
    let value = text(&vec![b'x'; 1_000]);
    let names: Vec<String> = (0..7).map(|number| format!("header-{number}")).collect();
    let mut entries = vec![(&b"x-eventd-attempts"[..], [&b"l"[..], &9_u64.to_be_bytes()].concat())];
    entries.extend(names.iter().map(|name| (name.as_bytes(), value.clone())));
    for (offered, left) in [(0_u32, 8), (131_072, 8), (8_192, 8), (4_096, 4)] {
        let tune = [&[0, 10, 0, 30, 7, 255][..], &offered.to_be_bytes(), &[0, 60]].concat();
        let bytes = [
            frame(METHOD, 0, &tune),
            frame(METHOD, 1, &deliver(b"events", b"key")),
            frame(HEADER, 1, &headers(&entries)),
        ];
        let out = sift(&bytes.concat()).unwrap();
        let header_size = out.len() - bytes[0].len() - bytes[1].len();
        let AMQPFrame::Header(1, read) = &parsed(&out)[2] else { panic!("{offered}") };
        assert!(offered == 0 || header_size <= offered as usize, "{offered}");
        let table = table(read);
        assert!(table.inner().contains_key("x-eventd-attempts"), "{offered}");
        let is_altered = table.inner().contains_key(ALTERED);
        assert_eq!(table.inner().len() - usize::from(is_altered), left, "{offered}");
        assert_eq!(is_altered, left < 8, "{offered}");
    }
}

#[test]
fn a_broker_that_offers_frames_below_the_least_size_is_told_apart() {
    for (offered, is_enough) in [(0_u32, true), (1, false), (4_095, false), (4_096, true)] {
        let tune = [&[0, 10, 0, 30, 7, 255][..], &offered.to_be_bytes(), &[0, 60]].concat();
        let sifted = sift(&frame(METHOD, 0, &tune));
        match is_enough {
            true => assert_eq!(sifted, Ok(frame(METHOD, 0, &tune))),
            false => assert_eq!(sifted, Err(Unreadable::FramesTooSmall(offered))),
        }
    }
}

#[test]
fn what_cannot_be_read_at_all_is_left_out_and_the_message_stays() {
    let unknown = headers(&[(b"one", text(b"1")), (b"odd", b"?".to_vec()), (b"two", text(b"2"))]);
    let (_, read) = message(&deliver(b"events", b"key"), &unknown);
    assert_eq!(table(&read).inner().len(), 2, "what follows it cannot be told apart");
    for (flags, properties) in [
        (MESSAGE_ID_FLAG, &b"\x05abc"[..]),
        (HEADERS_FLAG, b"\x00\x00\x00\x09abc"),
        (HEADERS_FLAG, b"\x00\x00"),
        (0, b"left over"),
        (0xFFFF, b""),
    ] {
        let (_, read) = message(&deliver(b"events", b"key"), &header(5, flags, properties));
        assert_eq!(read.body_size, 5);
        assert!(altered(&read).contains("left out"), "{flags:x}");
        assert!(read.properties.message_id().is_none());
    }
}

#[test]
fn a_body_that_is_too_large_is_passed_over_and_the_next_message_is_whole() {
    let (most, over) = (MAX_BODY as u64, MAX_BODY as u64 + 1);
    let part = vec![b'x'; 100_000];
    let rest = vec![b'x'; usize::try_from(over).unwrap() - 200_000];
    let bytes = [
        frame(METHOD, 1, &deliver(b"events", b"key")),
        frame(HEADER, 1, &header(over, MESSAGE_ID_FLAG, &short(b"large"))),
        frame(BODY, 1, &part),
        // Another channel's message comes in between.
        frame(METHOD, 2, &deliver(b"events", b"key")),
        frame(HEADER, 2, &header(5, 0, &[])),
        frame(BODY, 2, b"small"),
        frame(BODY, 1, &part),
        frame(BODY, 1, &rest),
        frame(METHOD, 1, &deliver(b"events", b"key")),
        frame(HEADER, 1, &header(4, 0, &[])),
        frame(BODY, 1, b"next"),
    ];
    let out = sift(&bytes.concat()).unwrap();
    let frames = parsed(&out);
    let bodies: Vec<_> = frames
        .iter()
        .filter_map(|frame| {
            if let AMQPFrame::Body(channel, body) = frame {
                Some((*channel, body.clone()))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(bodies, [(2, b"small".to_vec()), (1, b"next".to_vec())]);
    let AMQPFrame::Header(1, read) = &frames[1] else { panic!("{:?}", frames[1]) };
    assert_eq!(read.body_size, 0);
    assert_eq!(read.properties.message_id().as_ref().unwrap().as_str(), "large");
    let size = table(read).inner()[BODY_SIZE].clone();
    assert_eq!(size, AMQPValue::LongLongInt(i64::try_from(over).unwrap()));
    assert!(altered(read).contains("262145 bytes"));

    let whole =
        [frame(METHOD, 1, &deliver(b"events", b"key")), frame(HEADER, 1, &header(most, 0, &[]))];
    assert_eq!(sift(&whole.concat()).unwrap(), whole.concat());
}

#[test]
fn a_body_that_is_cut_short_costs_the_next_message_nothing() {
    let bytes = [
        frame(METHOD, 1, &deliver(b"events", b"key")),
        frame(HEADER, 1, &header(10_000_000, 0, &[])),
        frame(BODY, 1, b"begun"),
        frame(METHOD, 1, &deliver(b"events", b"key")),
        frame(HEADER, 1, &header(4, 0, &[])),
        frame(BODY, 1, b"next"),
    ];
    let out = sift(&bytes.concat()).unwrap();
    assert_eq!(parsed(&out).last(), Some(&AMQPFrame::Body(1, b"next".to_vec())));
}

#[test]
fn nobody_but_the_sieve_says_that_a_message_was_altered() {
    let forged = [&b"l"[..], &1_u64.to_be_bytes()].concat();
    let sent = headers(&[
        (BODY_SIZE.as_bytes(), forged),
        (ALTERED.as_bytes(), text(b"forged")),
        (b"team", text(b"hr")),
    ]);
    let (_, read) = message(&deliver(b"events", b"key"), &sent);
    assert!(!table(&read).inner().contains_key(BODY_SIZE));
    assert!(!altered(&read).contains("forged"));
    assert!(table(&read).inner().contains_key("team"));
}

/// connection.start of a broker with these properties.
fn start(properties: &[u8]) -> Vec<u8> {
    let mechanisms = [long(b"PLAIN"), long(b"en_US")].concat();
    frame(METHOD, 0, &[&[0, 10, 0, 10, 0, 9][..], &long(properties), &mechanisms].concat())
}

#[test]
fn what_a_broker_tells_of_itself_before_the_login_is_sifted_like_headers() {
    let product = [&short(b"product")[..], &text(b"RabbitMQ")].concat();
    let sound = start(&product);
    assert_eq!(sift(&sound).unwrap(), sound);
    let arrays = (1..18_000)
        .fold([&b"A"[..], &long(&[])].concat(), |inner, _| [&b"A"[..], &long(&inner)].concat());
    for deep in [nested(MAX_DEPTH + 1), nested(9_000), arrays] {
        let deep = [&short(b"deep")[..], &deep].concat();
        let out = sift(&start(&[&deep[..], &product].concat())).unwrap();
        assert_eq!(out, sound);
        let [AMQPFrame::Method(0, AMQPClass::Connection(_))] = &parsed(&out)[..] else {
            panic!("{out:?}");
        };
    }
    let large = [&short(b"large")[..], &text(&vec![b'x'; MAX_HEADERS])].concat();
    assert_eq!(sift(&start(&[&large[..], &product, &large].concat())).unwrap(), sound);
    let cut = frame(METHOD, 0, &[0, 10, 0, 10, 0, 9, 0, 0, 1, 0]);
    assert_eq!(sift(&cut), Err(Unreadable::NotAmqp));
}

#[test]
fn what_no_broker_sends_is_not_read_however_deep_it_is() {
    let table = long(&[&short(b"k")[..], &nested(10_000)].concat());
    for (name, id, before) in [
        ("connection.start-ok", [0, 10, 0, 11], &b""[..]),
        ("exchange.declare", [0, 40, 0, 10], b"\0\0\0\0\0"),
        ("exchange.bind", [0, 40, 0, 30], b"\0\0\0\0\0\0"),
        ("queue.declare", [0, 50, 0, 10], b"\0\0\0\0"),
        ("queue.bind", [0, 50, 0, 20], b"\0\0\0\0\0\0"),
        ("queue.unbind", [0, 50, 0, 50], b"\0\0\0\0\0"),
        ("basic.consume", [0, 60, 0, 20], b"\0\0\0\0\0"),
        ("basic.publish", [0, 60, 0, 40], b"\0\0\0\0\0"),
        ("no class", [0, 99, 0, 10], b""),
        ("half of a number", [1, 10, 1, 10], b""),
    ] {
        let method = frame(METHOD, 1, &[&id[..], before, &table].concat());
        assert_eq!(sift(&method), Err(Unreadable::NotAmqp), "{name}");
    }
    assert_eq!(sift(&frame(METHOD, 0, &[0, 10, 0])), Err(Unreadable::NotAmqp));
    let mut other = headers(&[(b"k", nested(10_000))]);
    other[1] = 50;
    assert_eq!(sift(&frame(HEADER, 1, &other)), Err(Unreadable::NotAmqp));
}

#[test]
fn what_is_no_frame_ends_the_connection_with_a_word_about_tls() {
    for bytes in [&b"AMQP\x00\x00\x09\x01"[..], b"\x15\x03\x01\x00\x02\x02\x16", b"HTTP/1.1 400"] {
        let error = sift(bytes).unwrap_err();
        assert!(error.to_string().contains("amqps://"), "{error}");
    }
    let mut wrong_end = frame(BODY, 1, b"x");
    *wrong_end.last_mut().unwrap() = 0;
    assert!(sift(&wrong_end).is_err());
    assert!(
        sift(&[BODY, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF]).is_err(),
        "nobody waits for four gigabytes"
    );
    assert!(sift(&frame(METHOD, 1, &[0, 60, 0, 60, 9])).is_err());
    assert!(sift(&frame(HEADER, 1, &[0, 60, 0])).is_err());
}

/// Bytes of a field of a header, sound or not, with tables and arrays in it.
fn field() -> impl Strategy<Value = Vec<u8>> {
    let sized = |kind: u8, size: usize| {
        vec(any::<u8>(), size).prop_map(move |bytes| [&[kind], &bytes[..]].concat())
    };
    let leaf = prop_oneof![
        sized(b't', 1),
        sized(b'b', 1),
        sized(b'B', 1),
        sized(b's', 2),
        sized(b'U', 2),
        sized(b'u', 2),
        sized(b'I', 4),
        sized(b'i', 4),
        sized(b'f', 4),
        sized(b'D', 5),
        sized(b'L', 8),
        sized(b'l', 8),
        sized(b'd', 8),
        sized(b'T', 8),
        sized(b'V', 0),
        vec(any::<u8>(), 0..20).prop_map(|bytes| text(&bytes)),
        vec(any::<u8>(), 0..20).prop_map(|bytes| [&b"x"[..], &long(&bytes)].concat()),
        any::<u8>().prop_map(|kind| vec![kind]),
    ];
    leaf.prop_recursive(8, 64, 4, |inner| {
        let named = (name(), inner.clone()).prop_map(|(name, value)| [name, value].concat());
        prop_oneof![
            vec(inner, 0..4).prop_map(|all| [&b"A"[..], &long(&all.concat())].concat()),
            vec(named, 0..4).prop_map(|all| [&b"F"[..], &long(&all.concat())].concat()),
        ]
    })
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..12).prop_map(|bytes| short(&bytes)),
        "[a-z-]{1,12}".prop_map(|text| short(text.as_bytes())),
    ]
}

/// Properties by their flags, sound or not.
fn properties() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let entries = vec((name(), field()), 0..6);
    (any::<u16>(), entries, vec(name(), 10), vec(any::<u8>(), 10), vec(any::<u8>(), 0..3)).prop_map(
        |(flags, entries, texts, bytes, more)| {
            let entries: Vec<_> =
                entries.into_iter().map(|(name, value)| [name, value].concat()).collect();
            let mut texts = texts.into_iter();
            let mut all = Vec::new();
            for bit in (2..16).rev().filter(|bit| flags & (1 << bit) != 0) {
                match bit {
                    13 => all.extend(long(&entries.concat())),
                    12 | 11 => all.push(bytes[bit - 11]),
                    6 => all.extend(&bytes[2..10]),
                    _ => all.extend(texts.next().unwrap()),
                }
            }
            // Now and then there is more than the flags say.
            if more.len() == 2 {
                all.extend(more);
            }
            (flags, all)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_the_properties_are_the_client_can_read_what_comes_out(
        (flags, properties) in properties(),
        exchange in vec(any::<u8>(), 0..30), routing_key in vec(any::<u8>(), 0..255),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3), size in any::<u64>(),
    ) {
        let mut header = header(size, flags, &properties);
        for (place, byte) in flips {
            // Not the class: a header of another class is not ours to read.
            let place = 4 + place.index(header.len() - 4);
            header[place] = byte;
        }
        let (delivered, read) = message(&deliver(&exchange, &routing_key), &header);
        prop_assert_eq!(delivered.delivery_tag, 7);
        prop_assert_eq!(delivered.routing_key.as_str().chars().count() <= routing_key.len(), true);
        prop_assert!(read.body_size <= MAX_BODY as u64);
    }

    #[test]
    fn what_is_in_order_comes_out_as_it_came_in_however_it_is_cut(
        id in "\\PC{0,60}", names in vec("[a-z]{1,20}", 0..8), value in vec(any::<u8>(), 0..200),
        body in vec(any::<u8>(), 0..2_000), cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let id = &id[..id.floor_char_boundary(255)];
        let entries: Vec<_> = names
            .iter()
            .map(|name| [short(name.as_bytes()), text(&value)].concat())
            .chain([[short(b"deep"), nested(MAX_DEPTH)].concat()])
            .collect();
        let properties = [long(&entries.concat()), short(id.as_bytes())].concat();
        let flags = HEADERS_FLAG | MESSAGE_ID_FLAG;
        let sent = [
            frame(METHOD, 1, &[0, 20, 0, 11, 0, 0, 0, 0]),
            frame(8, 0, &[]),
            frame(METHOD, 1, &deliver(b"events", id.as_bytes())),
            frame(HEADER, 1, &header(body.len() as u64, flags, &properties)),
            frame(BODY, 1, &body),
        ]
        .concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(sent.len())).collect();
        cuts.sort_unstable();
        let (mut sieve, mut out, mut begin) = (Sieve::default(), Vec::new(), 0);
        for end in cuts.into_iter().chain([sent.len()]) {
            sieve.sift(&sent[begin..end], &mut out).unwrap();
            begin = end;
        }
        prop_assert_eq!(out, sent);
    }

    #[test]
    fn any_bytes_are_sifted_without_a_panic(bytes in vec(any::<u8>(), 0..600)) {
        let _either = sift(&bytes);
        // And as the payload of each kind of frame.
        for kind in [METHOD, HEADER, BODY] {
            for start in [&[][..], &[0, 60], &[0, 60, 0, 60], &[0, 60, 0, 71], &[0, 60, 0, 50]] {
                let _either = sift(&frame(kind, 1, &[start, &bytes].concat()));
            }
        }
    }
}
