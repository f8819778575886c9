//! Checksums of numbers, over their digits as values.

/// ISO/IEC 7812-1 annex B.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match (at % 2, u32::from(*digit)) {
            (1, digit) if digit > 4 => digit * 2 - 9,
            (1, digit) => digit * 2,
            (_, digit) => digit,
        })
        .sum();
    sum.is_multiple_of(10) && varied(digits)
}

/// Whether the digits are not all the same: such numbers pass many checksums.
pub(super) fn varied(digits: &[u8]) -> bool {
    digits.windows(2).any(|pair| pair.first() != pair.last())
}

/// The sum of the digits by their weights.
pub(super) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum()
}

/// The digits as one number.
pub(super) fn value(digits: &[u8]) -> u64 {
    digits
        .iter()
        .fold(0, |value: u64, digit| value.wrapping_mul(10).wrapping_add(u64::from(*digit)))
}

/// ISO 13616 over ISO/IEC 7064: the first four characters go to the end, letters become numbers.
pub(super) fn mod_97(iban: &[u8]) -> bool {
    let (head, tail) = iban.split_at(iban.len().min(4));
    let rest = tail.iter().chain(head).fold(0_u32, |rest, byte| {
        let value = char::from(*byte).to_digit(36).unwrap_or(0);
        if value < 10 { (rest * 10 + value) % 97 } else { (rest * 100 + value) % 97 }
    });
    rest == 1
}

/// Verhoeff's check over the dihedral group of ten, which Aadhaar uses.
pub(super) fn verhoeff(digits: &[u8]) -> bool {
    const SHIFT: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let product = |a: u8, b: u8| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - 5 + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let permuted = |digit: u8, times: usize| {
        (0..times).fold(digit, |d, _| SHIFT.get(usize::from(d)).copied().unwrap_or(0))
    };
    let check = digits
        .iter()
        .rev()
        .enumerate()
        .fold(0, |check, (at, digit)| product(check, permuted(*digit, at % 8)));
    check == 0 && varied(digits)
}

/// ISO/IEC 7064 MOD 11,10, of the German tax id.
pub(super) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((check, rest)) = digits.split_last() else { return false };
    let product = rest.iter().fold(10, |product, digit| {
        let sum = match (u32::from(*digit) + product) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    });
    (11 - product) % 10 == u32::from(*check)
}

/// Whether a month and a day can be a date.
pub(super) fn is_date(month: u64, day: u64) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}
