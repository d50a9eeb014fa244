//! Crockford base32: characters, and numbers of any width packed into 5-bit symbols.
//! What the numbers mean is the token's business.

use crate::model::HANDLE_ALPHABET;

/// Returns the character of the lowest five bits.
pub(super) fn character(bits: u64) -> char {
    char::from(HANDLE_ALPHABET[usize::try_from(bits & 31).expect("five bits")])
}

/// Returns the value of a typed character: any case, `i l` as 1 and `o` as 0.
pub(super) fn symbol(typed: char) -> Option<u8> {
    let plain = match typed.to_ascii_lowercase() {
        'i' | 'l' => '1',
        'o' => '0',
        other => other,
    };
    let place = HANDLE_ALPHABET
        .iter()
        .position(|known| char::from(*known) == plain)?;
    u8::try_from(place).ok()
}

/// Is it a character that people put in for readability: hyphen or white space?
pub(super) fn is_ignored(typed: char) -> bool {
    typed == '-' || typed.is_whitespace()
}

/// Why symbols are not a text of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// They end before the last field.
    Short,
    /// They go on after the last field.
    Long,
    /// A number that our writer would have written otherwise.
    Unusual,
}

/// Packs numbers, high bit first.
#[derive(Default)]
pub(super) struct Writer {
    symbols: Vec<u8>,
    used: u32,
}

impl Writer {
    /// Appends the lowest `width` bits of `value`.
    pub(super) fn put(&mut self, value: u64, width: u32) {
        for place in (0..width).rev() {
            if self.used == 0 {
                self.symbols.push(0);
            }
            let bit = u8::from((value >> place) & 1 == 1);
            let last = self.symbols.last_mut().expect("pushed above when empty");
            *last |= bit << (4 - self.used);
            self.used = (self.used + 1) % 5;
        }
    }

    /// Appends a number in as few groups of four bits as hold it, the lowest first.
    pub(super) fn put_number(&mut self, mut value: u64) {
        while value > 15 {
            self.put(16 | (value & 15), 5);
            value >>= 4;
        }
        self.put(value, 5);
    }

    /// Returns the symbols; the last one is filled up with zero bits.
    pub(super) fn finish(self) -> Vec<u8> {
        self.symbols
    }
}

/// Unpacks what a [`Writer`] packed.
pub(super) struct Reader<'a> {
    symbols: &'a [u8],
    /// Bits read so far.
    read: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first symbol.
    pub(super) fn new(symbols: &'a [u8]) -> Self {
        Self { symbols, read: 0 }
    }

    /// Takes `width` bits, at most 64.
    pub(super) fn take(&mut self, width: u32) -> Result<u64, Misfit> {
        let mut value = 0;
        for _ in 0..width {
            let symbol = self.symbols.get(self.read / 5).ok_or(Misfit::Short)?;
            value = (value << 1) | u64::from((symbol >> (4 - self.read % 5)) & 1);
            self.read += 1;
        }
        Ok(value)
    }

    /// Takes at most 32 bits.
    pub(super) fn take_u32(&mut self, width: u32) -> Result<u32, Misfit> {
        Ok(u32::try_from(self.take(width)?).expect("at most 32 bits were taken"))
    }

    /// Takes a number that [`Writer::put_number`] wrote, and only in the form that it writes.
    pub(super) fn take_number(&mut self) -> Result<u64, Misfit> {
        let mut value = 0;
        for place in 0..16 {
            let group = self.take(5)?;
            value |= (group & 15) << (4 * place);
            if group < 16 {
                return if group == 0 && place > 0 {
                    Err(Misfit::Unusual)
                } else {
                    Ok(value)
                };
            }
        }
        Err(Misfit::Unusual)
    }

    /// Takes a number that must fit into 16 bits.
    pub(super) fn take_u16(&mut self) -> Result<u16, Misfit> {
        u16::try_from(self.take_number()?).map_err(|_| Misfit::Unusual)
    }

    /// Ends the reading: only zero bits of the last symbol may be left.
    pub(super) fn finish(mut self) -> Result<(), Misfit> {
        let left = 5 * self.symbols.len() - self.read;
        if left >= 5 {
            return Err(Misfit::Long);
        }
        let width = u32::try_from(left).expect("fewer than five bits");
        if self.take(width)? == 0 {
            Ok(())
        } else {
            Err(Misfit::Unusual)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_numbers_read_back() {
        let numbers = [0, 1, 15, 16, 255, 65_535, 1 << 40, u64::MAX];
        let mut writer = Writer::default();
        for number in numbers {
            writer.put_number(number);
            writer.put(number, 64);
            writer.put(1, 1);
        }
        let symbols = writer.finish();
        let mut reader = Reader::new(&symbols);
        for number in numbers {
            assert_eq!(reader.take_number(), Ok(number));
            assert_eq!(reader.take(64), Ok(number));
            assert_eq!(reader.take(1), Ok(1));
        }
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_number_has_one_form_only() {
        assert_eq!(Reader::new(&[16, 0]).take_number(), Err(Misfit::Unusual));
        assert_eq!(Reader::new(&[31; 40]).take_number(), Err(Misfit::Unusual));
        assert_eq!(Reader::new(&[31]).take_number(), Err(Misfit::Short));
        assert_eq!(Reader::new(&[0]).finish(), Err(Misfit::Long));
    }
}
