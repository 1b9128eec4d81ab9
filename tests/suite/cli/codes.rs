//! `codes`, as somebody reads it who has a code in hand.

use crate::support::program::run;
use crate::support::settings::Variables;
use mimecast_eventd::verdict::code;
use std::collections::BTreeSet;

#[tokio::test]
async fn every_code_is_there_with_its_meaning_and_what_to_do() {
    let shown = run(&Variables::new(), &["codes"]).await;
    assert_eq!((shown.code, shown.err.as_str()), (Some(0), ""));
    let told = run(&Variables::new(), &["codes", "--json"]).await;
    assert_eq!(told.lines().len(), code::rows().count() + code::words().count());
    for (row, object) in code::rows().zip(told.objects()) {
        let line = shown.lines().into_iter().find(|line| line.starts_with(row[0])).unwrap();
        assert!(row.iter().all(|cell| line.contains(cell)), "{line}");
        let fields = ["code", "outcome", "meaning", "advice"].map(|name| object[name].clone());
        assert_eq!(fields, row);
    }
    for row in code::words() {
        let is_it =
            |line: &&str| line.starts_with(&format!("{} ", row[0])) && line.contains(row[2]);
        assert!(shown.lines().iter().any(is_it), "{row:?}");
    }
    assert!(shown.out.ends_with(&format!("\n\n{}\n", code::OTHERS)), "{}", shown.out);
}

#[test]
fn every_word_of_ours_that_a_dead_letter_can_have_is_explained() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut words) = (vec![root], BTreeSet::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap().replace(char::is_whitespace, "");
            let after = code.split("Fault::new(\"").skip(1);
            words.extend(after.map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
    }
    assert!(words.len() > 10, "only {words:?} were found");
    let unexplained: Vec<_> = words.iter().filter(|word| code::explained(word).is_none()).collect();
    assert_eq!(unexplained, [""; 0]);
}
