//! Chooses a column's type from all of its values, so that nothing is lost by it.
//!
//! Instants and identifiers stay text: `2024-05-03 17:45:00+02` as `timestamptz` would forget its
//! offset, and models cast what they need. A type given in the stack file goes before all this.

/// What was seen of one column.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    values: u64,
    /// The line of the first NULL, if any.
    pub first_null: Option<u64>,
    longest: usize,
    shape: Shape,
    uuid: bool,
    scale: (usize, usize),
    whole_digits: usize,
    significant_digits: usize,
}

/// The narrowest shape that fits every value so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Unknown,
    Boolean,
    Integer,
    Decimal,
    Scientific,
    Text,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            values: 0,
            first_null: None,
            longest: 0,
            shape: Shape::Unknown,
            uuid: true,
            scale: (usize::MAX, 0),
            whole_digits: 0,
            significant_digits: 0,
        }
    }
}

impl Seen {
    /// Takes one value into account; `None` is NULL.
    pub(super) fn add(&mut self, value: Option<&str>, line: u64) {
        let Some(value) = value else {
            self.first_null = self.first_null.or(Some(line));
            return;
        };
        self.values += 1;
        self.longest = self.longest.max(value.chars().count());
        self.uuid = self.uuid && is_uuid(value);
        if self.shape == Shape::Text {
            return;
        }
        let shape = shape(value);
        self.shape = match (self.shape, shape) {
            (Shape::Unknown, shape) => shape,
            (Shape::Boolean, Shape::Boolean) => Shape::Boolean,
            (Shape::Boolean, _) | (_, Shape::Boolean | Shape::Text) => Shape::Text,
            (Shape::Scientific, _) | (_, Shape::Scientific) => Shape::Scientific,
            (Shape::Decimal, _) | (_, Shape::Decimal) => Shape::Decimal,
            (before, _) => before,
        };
        if matches!(shape, Shape::Integer | Shape::Decimal) {
            self.measure(value);
        }
    }

    fn measure(&mut self, number: &str) {
        let number = number.trim_start_matches('-');
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole = whole.trim_start_matches('0');
        self.scale = (self.scale.0.min(fraction.len()), self.scale.1.max(fraction.len()));
        self.whole_digits = self.whole_digits.max(whole.len());
        let significant =
            if whole.is_empty() { fraction.trim_start_matches('0').len() } else { whole.len() + fraction.len() };
        self.significant_digits = self.significant_digits.max(significant);
    }

    /// The PostgreSQL type for what was seen.
    pub(super) fn type_name(&self) -> String {
        match self.shape {
            Shape::Boolean => "boolean".to_owned(),
            Shape::Integer if self.whole_digits <= 18 => "bigint".to_owned(),
            Shape::Integer if self.whole_digits <= 38 => "numeric(38,0)".to_owned(),
            Shape::Decimal => self.decimal(),
            Shape::Scientific if self.significant_digits <= 15 => "double precision".to_owned(),
            _ => self.text(),
        }
    }

    /// Amounts have one scale of few digits and must add up exactly; measurements (coordinates,
    /// ratios) are binary fractions, as long as their digits survive that.
    fn decimal(&self) -> String {
        let (least, most) = self.scale;
        if least == most && most <= 4 && self.whole_digits <= 34 {
            format!("numeric({},{most})", if self.whole_digits + most <= 18 { 18 } else { 38 })
        } else if self.significant_digits <= 15 {
            "double precision".to_owned()
        } else if self.whole_digits + most <= 38 && most <= 37 {
            format!("numeric(38,{most})")
        } else {
            self.text()
        }
    }

    /// Text with a length where possible: DMS treats `text` as a large object, which it cuts off
    /// or, in a table without a key, leaves out. The room is for later rows: at least twice the
    /// longest value. Redshift holds 65,535 bytes, four for each of 16,383 characters.
    fn text(&self) -> String {
        match self.longest {
            _ if self.values > 0 && self.uuid => "varchar(36)".to_owned(),
            longest @ 0..=8_000 => format!("varchar({})", (2 * longest).max(64).next_power_of_two().min(16_000)),
            _ => "text".to_owned(),
        }
    }
}

fn shape(value: &str) -> Shape {
    if matches!(value, "true" | "false") {
        return Shape::Boolean;
    }
    let number = value.strip_prefix('-').unwrap_or(value);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // `007` and `-0` are codes, not numbers: reading them as numbers would lose something.
    let whole = |text: &str| digits(text) && (text.len() == 1 || !text.starts_with('0'));
    if whole(number) {
        return if value == "-0" { Shape::Text } else { Shape::Integer };
    }
    if let Some((before, after)) = number.split_once('.')
        && whole(before)
        && digits(after)
    {
        return Shape::Decimal;
    }
    if let Some((mantissa, exponent)) = number.split_once(['e', 'E']) {
        let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        let exact = mantissa.len() <= 16 && value.parse::<f64>().is_ok_and(f64::is_normal);
        if whole(before) && digits(after) && digits(exponent) && exact {
            return Shape::Scientific;
        }
    }
    Shape::Text
}

fn is_uuid(value: &str) -> bool {
    value.len() == 36
        && value.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn infer(values: &[&str]) -> String {
        let mut seen = Seen::default();
        for value in values {
            seen.add(Some(*value).filter(|value| *value != "NULL"), 2);
        }
        seen.type_name()
    }

    #[test]
    fn the_type_fits_every_value_and_loses_none() {
        let cases: [(&[&str], &str); 20] = [
            (&["1", "-20", "NULL"], "bigint"),
            (&["1", "007"], "varchar(64)"),
            (&["12345678901234567890"], "numeric(38,0)"),
            (&["true", "NULL", "false"], "boolean"),
            (&["true", "1"], "varchar(64)"),
            (&["yes", "no"], "varchar(64)"),
            (&["12.50", "-0.99"], "numeric(18,2)"),
            (&["59.913000", "-122.419416"], "double precision"),
            (&["1", "2.5"], "double precision"),
            (&["0.1234567890123456789", "1"], "numeric(38,19)"),
            (&["1e5", "2.5", "3"], "double precision"),
            (&["1e500"], "varchar(64)"),
            (&["1e5", "12345678901234567890"], "varchar(64)"),
            (&["2024-05-03 17:45:00+00"], "varchar(64)"),
            (&["6f8b3c1a-0f5e-4a39-9a53-0a3c9a4b1c2d", "NULL"], "varchar(36)"),
            (&["6f8b3c1a-0f5e-4a39-9a53-0a3c9a4b1c2d", "x"], "varchar(128)"),
            (&["1", ""], "varchar(64)"),
            (&["NULL"], "varchar(64)"),
            (&["-0"], "varchar(64)"),
            (&["NaN", "1.5"], "varchar(64)"),
        ];
        for (values, expected) in cases {
            assert_eq!(infer(values), expected, "{values:?}");
        }
        assert_eq!(infer(&["x".repeat(9_000).as_str()]), "text");
        assert_eq!(infer(&["é".repeat(5_000).as_str()]), "varchar(16000)");
    }

    #[test]
    fn the_first_null_is_remembered_with_its_line() {
        let mut seen = Seen::default();
        for (line, value) in [(2, Some("a")), (3, None), (4, None)] {
            seen.add(value, line);
        }
        assert_eq!(seen.first_null, Some(3));
    }
}
