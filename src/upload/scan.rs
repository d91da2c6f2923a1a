//! Reads CSV strictly, record by record, in constant memory, and says at which line what is wrong.
//!
//! The rules are those of PostgreSQL's `COPY … CSV`, because that is what reads the file next: a
//! field is quoted as a whole or not at all, a quote inside is doubled, an empty field without
//! quotes is NULL and `""` is the empty string. Types are no matter of this module.

use std::io::{self, BufRead, Read};

use sha2::{Digest, Sha256};

/// One record. The buffers are reused from record to record.
#[derive(Debug, Default)]
pub(super) struct Record {
    text: String,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    quoted: Vec<bool>,
    /// The line on which the record begins, from 1.
    pub line: u64,
}

impl Record {
    /// How many fields it has.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A field's text, `None` for NULL.
    pub(super) fn get(&self, field: usize) -> Option<&str> {
        let begin = if field == 0 { 0 } else { self.ends[field - 1] };
        let text = &self.text[begin..self.ends[field]];
        (!text.is_empty() || self.quoted[field]).then_some(text)
    }

    fn clear(&mut self, line: u64) {
        self.text.clear();
        self.bytes.clear();
        self.ends.clear();
        self.quoted.clear();
        self.line = line;
    }

    fn end_field(&mut self, quoted: bool) {
        self.ends.push(self.bytes.len());
        self.quoted.push(quoted);
    }
}

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// From 1.
    pub line: u64,
    /// The field on that line, from 0, where it can be told.
    pub field: Option<usize>,
    /// In words, without the place.
    pub reason: String,
}

/// Why reading ended early.
#[derive(Debug)]
pub(super) enum ScanError {
    /// The file is not what it should be.
    Broken(Broken),
    /// The file system failed.
    Read(io::Error),
}

impl From<io::Error> for ScanError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    QuoteInQuoted,
    CarriageReturn,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    Lf,
    CrLf,
}

/// A reader of records that also hashes every byte.
pub(super) struct Scanner<R> {
    input: Hashing<R>,
    line: u64,
    line_end: Option<LineEnd>,
}

impl<R: BufRead> Scanner<R> {
    /// Begins, past a UTF-8 byte order mark if there is one.
    pub(super) fn new(input: R) -> Result<Self, ScanError> {
        let mut scanner = Self { input: Hashing { input, hash: Sha256::new() }, line: 1, line_end: None };
        match scanner.input.input.fill_buf()? {
            [0xEF, 0xBB, 0xBF, ..] => scanner.input.consume(3),
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => {
                return Err(scanner.broken(None, "the file is UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)"));
            }
            _ => {}
        }
        Ok(scanner)
    }

    /// Reads the next record; `false` at the end of the file.
    pub(super) fn next(&mut self, record: &mut Record) -> Result<bool, ScanError> {
        record.clear(self.line);
        let (mut state, mut opened) = (State::FieldStart, self.line);
        loop {
            let buffer = self.input.input.fill_buf()?;
            if buffer.is_empty() {
                return self.end_of_file(record, state, opened);
            }
            let (mut used, mut done, mut fault) = (0, false, None);
            for &byte in buffer {
                used += 1;
                match step(&mut state, byte, record) {
                    Step::Go => {}
                    Step::Opened => opened = self.line,
                    Step::NewLine => self.line += 1,
                    Step::Done(end) => {
                        done = true;
                        if *self.line_end.get_or_insert(end) != end {
                            fault = Some("this line ends differently (LF or CRLF) from those before");
                        }
                        break;
                    }
                    Step::Fault(reason) => {
                        fault = Some(reason);
                        break;
                    }
                }
            }
            self.input.consume(used);
            if let Some(reason) = fault {
                return Err(self.broken(Some(record.len()).filter(|_| !done), reason));
            }
            if done {
                self.finish(record)?;
                self.line += 1;
                return Ok(true);
            }
        }
    }

    fn end_of_file(&mut self, record: &mut Record, state: State, opened: u64) -> Result<bool, ScanError> {
        match state {
            State::FieldStart if record.ends.is_empty() => return Ok(false),
            State::Quoted => {
                self.line = opened;
                return Err(self.broken(Some(record.len()), "a quoted value begins here and never ends"));
            }
            State::CarriageReturn => return Err(self.broken(None, LONE_CR)),
            State::QuoteInQuoted => record.end_field(true),
            State::FieldStart | State::Plain => record.end_field(false),
        }
        self.finish(record)?;
        Ok(true)
    }

    /// Checks what can only be said of a whole record.
    fn finish(&self, record: &mut Record) -> Result<(), ScanError> {
        if record.ends == [0] && !record.quoted[0] {
            return Err(self.broken(None, "the line is empty"));
        }
        if record.bytes == b"\\." && record.quoted == [false] {
            return Err(self.broken(Some(0), "\\. alone on a line means the end of the data to PostgreSQL; quote it"));
        }
        match String::from_utf8(std::mem::take(&mut record.bytes)) {
            Ok(text) => {
                record.bytes = std::mem::replace(&mut record.text, text).into_bytes();
                Ok(())
            }
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let byte = error.as_bytes()[at];
                let field = record.ends.partition_point(|end| *end <= at);
                let reason = format!(
                    "byte 0x{byte:02X} is not UTF-8; in Latin-1 it would be `{}` (convert with iconv -f LATIN1 -t UTF-8)",
                    char::from(byte)
                );
                Err(ScanError::Broken(Broken { line: record.line, field: Some(field), reason }))
            }
        }
    }

    /// The hash of the whole file, as hexadecimal digits; reads what is left of it.
    pub(super) fn hash(mut self) -> io::Result<String> {
        io::copy(&mut self.input, &mut io::sink())?;
        Ok(hex(self.input.hash))
    }

    fn broken(&self, field: Option<usize>, reason: &str) -> ScanError {
        ScanError::Broken(Broken { line: self.line, field, reason: reason.to_owned() })
    }
}

const LONE_CR: &str = "a carriage return stands without a line feed; lines must end in LF or CRLF";

enum Step {
    Go,
    Opened,
    NewLine,
    Done(LineEnd),
    Fault(&'static str),
}

/// One byte further.
fn step(state: &mut State, byte: u8, record: &mut Record) -> Step {
    match (*state, byte) {
        (_, 0) => return Step::Fault("a NUL byte; is this a text file?"),
        (State::Quoted, b'"') => *state = State::QuoteInQuoted,
        (State::Quoted, _) => {
            record.bytes.push(byte);
            if byte == b'\n' {
                return Step::NewLine;
            }
        }
        (State::CarriageReturn, b'\n') => return Step::Done(LineEnd::CrLf),
        (State::CarriageReturn, _) => return Step::Fault(LONE_CR),
        (State::FieldStart, b'"') => {
            *state = State::Quoted;
            return Step::Opened;
        }
        (State::QuoteInQuoted, b'"') => {
            record.bytes.push(byte);
            *state = State::Quoted;
        }
        (State::Plain, b'"') => {
            return Step::Fault(
                "a quote stands inside a value that is not quoted; quote the value and double the quote",
            );
        }
        (State::FieldStart | State::Plain | State::QuoteInQuoted, b',' | b'\r' | b'\n') => {
            record.end_field(*state == State::QuoteInQuoted);
            *state = State::FieldStart;
            if byte == b'\r' {
                *state = State::CarriageReturn;
            } else if byte == b'\n' {
                return Step::Done(LineEnd::Lf);
            }
        }
        (State::QuoteInQuoted, _) => {
            return Step::Fault("text follows the closing quote; quotes inside a quoted value must be doubled");
        }
        (State::FieldStart | State::Plain, _) => {
            record.bytes.push(byte);
            *state = State::Plain;
        }
    }
    Step::Go
}

struct Hashing<R> {
    input: R,
    hash: Sha256,
}

impl<R: BufRead> Hashing<R> {
    fn consume(&mut self, bytes: usize) {
        // A reader returns the same buffer until it is consumed, without reading again.
        if let Ok(buffer) = self.input.fill_buf() {
            self.hash.update(&buffer[..bytes]);
        }
        self.input.consume(bytes);
    }
}

impl<R: BufRead> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

/// A finished hash in hexadecimal digits.
pub(super) fn hex(hash: Sha256) -> String {
    format!("{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    type Records = Vec<(u64, Vec<Option<String>>)>;

    /// Every record as its line and fields, read through a buffer of a few bytes.
    fn records(input: &[u8]) -> Result<Records, Broken> {
        let read = |buffer: usize| {
            let broken = |error| match error {
                ScanError::Broken(broken) => broken,
                ScanError::Read(error) => panic!("{error}"),
            };
            let mut scanner = Scanner::new(BufReader::with_capacity(buffer, input)).map_err(broken)?;
            let (mut record, mut all) = (Record::default(), Vec::new());
            while scanner.next(&mut record).map_err(broken)? {
                let fields = (0..record.len()).map(|field| record.get(field).map(str::to_owned)).collect();
                all.push((record.line, fields));
            }
            let mut whole = Sha256::new();
            whole.update(input);
            assert_eq!(scanner.hash().unwrap(), hex(whole));
            Ok(all)
        };
        let (small, large) = (read(4), read(4096));
        assert_eq!(small, large);
        large
    }

    fn fields(texts: &[Option<&str>]) -> Vec<Option<String>> {
        texts.iter().map(|text| text.map(str::to_owned)).collect()
    }

    fn broken(input: &[u8]) -> (u64, Option<usize>, String) {
        let broken = records(input).unwrap_err();
        (broken.line, broken.field, broken.reason)
    }

    #[test]
    fn null_and_the_empty_string_are_told_apart_by_quotes() {
        let all = records(b"a,b,c\n,\"\",x\n").unwrap();
        assert_eq!(all[1], (2, fields(&[None, Some(""), Some("x")])));
    }

    #[test]
    fn quotes_commas_and_line_breaks_inside_values_keep_the_line_count() {
        let all = records("a,b\n\"x,\"\"y\"\"\nz\",é\n1,2".as_bytes()).unwrap();
        assert_eq!(all[1], (2, fields(&[Some("x,\"y\"\nz"), Some("é")])));
        assert_eq!(all[2], (4, fields(&[Some("1"), Some("2")])));
    }

    #[test]
    fn byte_order_mark_and_windows_line_ends_are_read_as_meant() {
        let all = records(b"\xEF\xBB\xBFid,b\r\n1,\"\"\r\n").unwrap();
        assert_eq!(all, [(1, fields(&[Some("id"), Some("b")])), (2, fields(&[Some("1"), Some("")]))]);
    }

    #[test]
    fn what_is_broken_is_named_with_its_line() {
        let cases: [(&[u8], u64, Option<usize>, &str); 9] = [
            (b"a,b\n1,x\"y\n", 2, Some(1), "quote stands inside"),
            (b"a,b\n1,\"x\" y\n", 2, Some(1), "text follows the closing quote"),
            (b"a,b\n1,2\n3,\"x\ny\nz\n", 3, Some(1), "never ends"),
            (b"a,b\n1,caf\xE9\n", 2, Some(1), "0xE9 is not UTF-8; in Latin-1 it would be `\u{e9}`"),
            (b"a,b\n1,2\r\n", 2, None, "ends differently"),
            (b"a,b\r1,2\r", 1, Some(2), "carriage return"),
            (b"a,b\n1,2\n\n", 3, None, "the line is empty"),
            (b"a,b\n1,\0\n", 2, Some(1), "NUL"),
            (b"\xFF\xFEa\0", 1, None, "UTF-16"),
        ];
        for (input, line, field, reason) in cases {
            let found = broken(input);
            assert_eq!((found.0, found.1), (line, field), "{found:?}");
            assert!(found.2.contains(reason), "{found:?}");
        }
    }

    #[test]
    fn the_end_of_data_mark_is_not_mistaken_for_a_value() {
        assert!(broken(b"a\n\\.\n").2.contains("quote it"));
        assert_eq!(records(b"a\n\"\\.\"\n").unwrap()[1].1, fields(&[Some("\\.")]));
    }
}
