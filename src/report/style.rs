//! Colours and small words: the only place that knows escape codes and plurals.

/// Whether to colour. Meaning never depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Escape codes.
    On,
    /// Plain text.
    Off,
}

impl Color {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::On => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Off => text.to_owned(),
        }
    }

    /// Things that appear.
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Things that change.
    pub fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Things that go away or went wrong.
    pub fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// What matters least.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// What matters most.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }
}

/// `1 table`, `2 tables`.
pub fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{} {noun}s", grouped(count as u64)) }
}

/// `12,345`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration the way people say it: `0.4 s`, `12 s`, `9 min 23 s`, `1 h 5 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 if whole.is_multiple_of(60) => format!("{} min", whole / 60),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// An estimate, rounded to what can be known: `40 s`, `9 min`, `1 h 10 min`.
pub fn estimate(seconds: f64) -> String {
    match seconds.round() as u64 {
        whole @ 0..90 => format!("{whole} s"),
        whole @ 90..5400 => format!("{} min", (whole + 30) / 60),
        whole => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations_read_like_speech() {
        assert_eq!(plural(1, "table"), "1 table");
        assert_eq!(plural(1500, "row"), "1,500 rows");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(duration(0.42), "0.4 s");
        assert_eq!(duration(563.0), "9 min 23 s");
        assert_eq!(duration(3900.0), "1 h 5 min");
        assert_eq!(estimate(563.0), "9 min");
    }

    #[test]
    fn without_colour_the_text_is_untouched() {
        assert_eq!(Color::Off.red("x"), "x");
        assert_eq!(Color::On.red("x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
