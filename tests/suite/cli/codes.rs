//! `codes`, as somebody reads it who has a code in hand.

use crate::support::program::run;
use crate::support::settings::Variables;
use mimecast_eventd::verdict::code;

#[tokio::test]
async fn every_code_is_there_with_its_meaning_and_what_to_do() {
    let shown = run(&Variables::new(), &["codes"]).await;
    assert_eq!((shown.code, shown.err.as_str()), (Some(0), ""));
    let told = run(&Variables::new(), &["codes", "--json"]).await;
    for (row, object) in code::rows().zip(told.objects()) {
        let line = shown.lines().into_iter().find(|line| line.starts_with(row[0])).unwrap();
        assert!(row.iter().all(|cell| line.contains(cell)), "{line}");
        let fields = ["code", "outcome", "meaning", "advice"].map(|name| object[name].clone());
        assert_eq!(fields, row);
    }
    assert_eq!(told.lines().len(), code::rows().count());
    assert!(shown.out.ends_with(&format!("\n\n{}\n", code::OTHERS)), "{}", shown.out);
}
