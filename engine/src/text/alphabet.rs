//! The byte-level alphabet: one printable character per byte, so that a vocabulary file can hold any bytes.

use std::sync::LazyLock;

/// Printable bytes stand for themselves; the others, in order, for the characters from U+0100.
static CHARS: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut next = 0x100u32;
    std::array::from_fn(|byte| {
        let byte = u8::try_from(byte).expect("the index is below 256");
        if is_printable(byte) {
            return char::from(byte);
        }
        let stand_in = char::from_u32(next).expect("U+0100..U+0144 are characters");
        next += 1;
        stand_in
    })
});

fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

/// The character that stands for `byte`.
pub(crate) fn byte_to_char(byte: u8) -> char {
    CHARS[usize::from(byte)]
}

/// The byte that `character` stands for, if it is in the alphabet.
pub(crate) fn char_to_byte(character: char) -> Option<u8> {
    let code = u32::from(character);
    if let Ok(byte) = u8::try_from(code) {
        return is_printable(byte).then_some(byte);
    }
    // The 68 stand-ins follow the order of the bytes they stand for.
    let stand_in = CHARS.iter().position(|&known| known == character)?;
    u8::try_from(stand_in).ok()
}
