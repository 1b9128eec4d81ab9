//! Takes secrets out of text that comes from elsewhere.

use super::secret::Secret;
use std::cmp::Reverse;
use std::fmt;

/// What must not be repeated, should somebody echo it: secrets, in the forms in which they were sent. They are
/// worked out once, and looked for in every reply.
#[derive(Default)]
pub struct Hidden(Vec<String>);

impl Hidden {
    /// All of `secrets`.
    pub fn of<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Hidden {
        let mut forms: Vec<String> = secrets.into_iter().flat_map(Secret::forms).collect();
        forms.retain(|form| !form.is_empty());
        // The longest first: where one secret begins another, the rest of that must not stay.
        forms.sort_by_key(|form| Reverse(form.len()));
        Hidden(forms)
    }

    /// `text` without any of them.
    pub fn hide(&self, text: String) -> String {
        self.0.iter().fold(text, |text, form| {
            if text.contains(form) { text.replace(form, "[secret]") } else { text }
        })
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secrets]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    #[test]
    fn what_is_hidden_does_not_show_what_it_is() {
        assert_eq!(format!("{:?}", Hidden::of(&[Secret::new("canary")])), "[secrets]");
    }

    #[test]
    fn an_empty_secret_hides_nothing() {
        let hidden = Hidden::of(&[Secret::default(), Secret::new("canary")]);
        assert_eq!(hidden.hide("a canary sings".into()), "a [secret] sings");
    }

    #[test]
    fn a_secret_is_found_in_the_forms_in_which_it_was_sent() {
        let hidden = Hidden::of(&[Secret::new("canary/+ of=gold")]);
        for echo in
            ["canary%2F%2B of%3Dgold".replace(' ', "%20"), "canary%2f%2b%20of%3dgold".into()]
        {
            assert_eq!(hidden.hide(format!("secret={echo}&x")), "secret=[secret]&x");
        }
        // The second has characters in base64 that the form for URLs writes in another way.
        for secret in ["canary/+ of=gold", "canary>?~of>?~gold"] {
            let hidden = Hidden::of(&[Secret::new(secret)]);
            for before in ["", "x", "id", "id:", "client"] {
                for engine in [STANDARD, URL_SAFE] {
                    let echo = engine.encode(format!("{before}{secret} and more"));
                    let shown = hidden.hide(format!("Basic {echo}"));
                    assert!(shown.contains("[secret]") && shown.len() < 40, "{shown}");
                }
            }
        }
    }

    #[test]
    fn whichever_way_a_form_writes_its_digits_the_letters_of_a_secret_stay() {
        let hidden = Hidden::of(&[Secret::new("Canary/+Gold")]);
        for echo in ["Canary%2F%2BGold", "Canary%2f%2bGold", "canary%2f%2bgold"] {
            assert_eq!(hidden.hide(format!("secret={echo}&x")), "secret=[secret]&x");
        }
    }

    #[test]
    fn a_short_secret_leaves_innocent_words_alone() {
        let hidden = Hidden::of(&[Secret::new("abc")]);
        assert_eq!(hidden.hide("YWJj is no word".into()), "YWJj is no word");
    }

    #[test]
    fn where_one_secret_begins_another_nothing_of_the_longer_one_stays() {
        let (short, long) = (Secret::new("canary"), Secret::new("canary-and-more"));
        for secrets in [[&short, &long], [&long, &short]] {
            let hidden = Hidden::of(secrets);
            assert_eq!(hidden.hide("a canary-and-more sings".into()), "a [secret] sings");
        }
    }
}
