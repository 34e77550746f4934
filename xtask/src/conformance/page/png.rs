//! A picture out of base64.

use anyhow::Context;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Decodes base64 with padding.
pub(super) fn decode(text: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut bits = 0u32;
        for character in four {
            let value = ALPHABET.iter().position(|known| known == character);
            bits = (bits << 6) | value.context("not base64")? as u32;
        }
        bits <<= 6 * (4 - four.len());
        bytes.extend(&bits.to_be_bytes()[1..four.len()]);
    }
    Ok(bytes)
}

#[test]
fn base64_is_read_back() {
    for (text, bytes) in [
        ("", ""),
        ("Zg==", "f"),
        ("Zm8=", "fo"),
        ("Zm9v", "foo"),
        ("Zm9vYmFy", "foobar"),
    ] {
        assert_eq!(decode(text).expect("base64"), bytes.as_bytes(), "{text}");
    }
    assert!(decode("a!bc").is_err());
}
