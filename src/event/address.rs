//! Addresses and domains as people write them.
//!
//! They are sent as they are given, without the space around them. What the vendor makes of
//! international domains is in none of its public documents: no form of them is turned into the other.

/// An address, without the space around it.
///
/// # Errors
///
/// What is wrong with it, to stand after the name of its field.
pub(super) fn address(text: &str) -> Result<String, &'static str> {
    let address = text.trim();
    let Some((local, domain)) = address.rsplit_once('@') else {
        return Err("has no @");
    };
    if address.contains(['<', '>', '"', '(', ')']) {
        return Err("must be the address alone, without a display name");
    }
    if address.contains([',', ';']) || local.contains('@') {
        return Err("must be one address");
    }
    expect_plain(address)?;
    if local.is_empty() || domain.is_empty() {
        return Err("has nothing on one side of its @");
    }
    Ok(address.to_owned())
}

/// A domain, without the space around it.
///
/// # Errors
///
/// What is wrong with it, to stand after the name of its field.
pub(super) fn domain(text: &str) -> Result<String, &'static str> {
    let domain = text.trim();
    if domain.contains(['@', '/', ':', ',', ';', '<', '>', '"', '*']) {
        return Err("must be a domain alone, such as example.com");
    }
    expect_plain(domain)?;
    Ok(domain.to_owned())
}

fn expect_plain(text: &str) -> Result<(), &'static str> {
    if text.contains(|it: char| it.is_whitespace() || it.is_control()) {
        return Err("has a space or a control character in it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_as_it_is_without_the_space_around_it() {
        for (text, expected) in [
            ("ada@example.com", "ada@example.com"),
            ("  Ada.L+x@EXAMPLE.com\n", "Ada.L+x@EXAMPLE.com"),
            ("o'neill@bücher.example", "o'neill@bücher.example"),
            ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ] {
            assert_eq!(address(text).as_deref(), Ok(expected));
        }
        assert_eq!(domain(" Bücher.example ").as_deref(), Ok("Bücher.example"));
    }

    #[test]
    fn what_is_no_address_alone_is_refused_with_what_is_wrong() {
        for (text, problem) in [
            ("Ada <ada@example.com>", "must be the address alone, without a display name"),
            ("\"Ada\" ada@example.com", "must be the address alone, without a display name"),
            ("ada@example.com (Ada)", "must be the address alone, without a display name"),
            ("ada@example.com,bob@example.com", "must be one address"),
            ("ada@example.com;", "must be one address"),
            ("ada@bob@example.com", "must be one address"),
            ("ada lovelace@example.com", "has a space or a control character in it"),
            ("ada@example.com\u{0}", "has a space or a control character in it"),
            ("ada", "has no @"),
            ("@example.com", "has nothing on one side of its @"),
            ("ada@", "has nothing on one side of its @"),
        ] {
            assert_eq!(address(text), Err(problem), "{text:?}");
        }
        for text in ["@example.com", "https://example.com", "example.com,example.org", "*.com"] {
            assert_eq!(domain(text), Err("must be a domain alone, such as example.com"), "{text}");
        }
        assert!(domain("example .com").is_err());
    }
}
