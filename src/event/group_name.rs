//! Names of groups.

use super::characters::{NameError, at_a_glance, composed, expect_prose};

/// Returns the name of a group in its canonical form: in Unicode normalization form C, without the space around
/// it. Upper and lower case differ.
///
/// # Errors
///
/// What is wrong with it, to follow the name of its field.
pub fn group_name(text: &str) -> Result<String, NameError> {
    let name = text.trim();
    if name.is_empty() {
        return Err(NameError::Form("is blank"));
    }
    expect_prose(name)?;
    Ok(composed(name).into_owned())
}

/// True where Mimecast's name of a group is this canonical one.
pub fn is_group_name(canonical: &str, listed: &str) -> bool {
    composed(listed.trim()) == canonical
}

/// True where Mimecast's name of a group differs from this canonical one in nothing but case or white space:
/// somebody means this group, and has written it differently.
pub fn is_nearly_group_name(canonical: &str, listed: &str) -> bool {
    at_a_glance(canonical) == at_a_glance(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_in_one_normal_form() {
        let name = group_name(" A\u{308}rzte ").unwrap();
        assert_eq!(name, "Ärzte");
        for listed in ["Ärzte", "A\u{308}rzte", "Ärzte "] {
            assert!(is_group_name(&name, listed), "{listed:?}");
        }
        for listed in ["ärzte", "Ä rzte", "Arzte"] {
            assert!(!is_group_name(&name, listed), "{listed:?}");
        }
    }

    #[test]
    fn a_name_that_differs_in_case_or_white_space_is_near() {
        for listed in ["vip MAILING", "VIPMailing", "VIP\u{a0}\u{a0}Mailing", "VIP\u{200b} Mailing"]
        {
            assert!(is_nearly_group_name("VIP Mailing", listed), "{listed:?}");
        }
        assert!(is_nearly_group_name("Ärzte", "a\u{308}rzte"));
        assert!(!is_nearly_group_name("VIP Mailing", "VIP Mailings"));
    }

    #[test]
    fn a_name_that_is_blank_or_hides_something_has_no_canonical_form() {
        for text in ["", " \t", "All\u{200b}staff", "All\nstaff", "\u{fffd}"] {
            assert!(group_name(text).is_err(), "{text:?}");
        }
    }
}
