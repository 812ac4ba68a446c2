//! The words of a statement, as SQLite tells them apart.

/// What a statement is made of, without blanks and comments.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token<'s> {
    /// A keyword, a name or a number.
    Word(&'s str),
    /// A name in quotes, which is never a keyword.
    Quoted(&'s str),
    /// A text.
    Literal(&'s str),
    Sign(char),
}

impl Token<'_> {
    /// Whether it is this keyword.
    pub fn is(self, keyword: &str) -> bool {
        matches!(self, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    pub fn is_any_of(self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(keyword))
    }

    /// Whether it is a number that an integer can be, after any sign.
    pub fn is_integer(self) -> bool {
        matches!(self, Token::Word(word) if word.parse::<i64>().is_ok())
    }

    /// What may be a name, if it stands where one does. A text is one there.
    pub fn name(&self) -> Option<&str> {
        match self {
            Token::Word(name) if !name.starts_with(|char: char| char.is_ascii_digit()) => {
                Some(name)
            }
            Token::Quoted(name) | Token::Literal(name) => Some(name),
            _ => None,
        }
    }
}

/// Quotes and cases of names make no difference.
impl PartialEq for Token<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Token::Word(a) | Token::Quoted(a), Token::Word(b) | Token::Quoted(b)) => {
                a.eq_ignore_ascii_case(b)
            }
            (Token::Literal(a), Token::Literal(b)) => a == b,
            (Token::Sign(a), Token::Sign(b)) => a == b,
            _ => false,
        }
    }
}

pub(super) fn tokens(statement: &str) -> Vec<Token<'_>> {
    // To SQLite it ends there.
    let mut rest = statement.split('\0').next().unwrap_or_default();
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (token, length) = next(rest, first);
        tokens.extend(token);
        rest = &rest[length..];
    }
    tokens
}

/// The token at the beginning of `rest`, if there is one, and how many bytes it takes.
fn next(rest: &str, first: char) -> (Option<Token<'_>>, usize) {
    let until = |end: &str, from: usize| {
        let found = rest.get(from..).and_then(|rest| rest.find(end));
        found.map_or(rest.len(), |at| from + at + end.len())
    };
    match first {
        // The last one is a mark of byte order, which SQLite passes over where no word has begun.
        ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' | '\u{feff}' => (None, first.len_utf8()),
        '-' if rest.starts_with("--") => (None, until("\n", 2)),
        '/' if rest.starts_with("/*") => (None, until("*/", 2)),
        '\'' => quoted(rest, '\'', Token::Literal),
        '"' | '`' => quoted(rest, first, Token::Quoted),
        '[' => {
            let length = until("]", 1);
            (Some(Token::Quoted(rest[1..length].trim_end_matches(']'))), length)
        }
        _ if is_of_a_word(first) => {
            let length = rest.find(|char| !is_of_a_word(char)).unwrap_or(rest.len());
            (Some(Token::Word(&rest[..length])), length)
        }
        _ => (Some(Token::Sign(first)), first.len_utf8()),
    }
}

/// What stands in quotes, of which two in a row are one that ends nothing.
fn quoted<'s>(
    rest: &'s str,
    quote: char,
    token: fn(&'s str) -> Token<'s>,
) -> (Option<Token<'s>>, usize) {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, char)) = chars.next() {
        if char == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return (Some(token(&rest[1..at])), at + 1);
        }
    }
    (Some(token(&rest[1..])), rest.len())
}

fn is_of_a_word(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_' || char == '$' || !char.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(statement: &str) -> String {
        let word = |token: &Token<'_>| match token {
            Token::Word(text) => (*text).to_owned(),
            Token::Quoted(text) => format!("<{text}>"),
            Token::Literal(text) => format!("'{text}'"),
            Token::Sign(sign) => sign.to_string(),
        };
        tokens(statement).iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_are_told_from_what_is_quoted() {
        assert_eq!(told("a(checked,b)"), "a ( checked , b )");
        assert_eq!(told("\"as\"AS[check]`of`"), "<as> AS <check> <of>");
        assert_eq!(told("'it''s' \"a\"\"b\" 'AS"), "'it''s' <a\"\"b> 'AS'");
        assert_eq!(told("é$1_ 12+x'00'"), "é$1_ 12 + x '00'");
    }

    #[test]
    fn comments_and_what_comes_after_the_end_are_none() {
        assert_eq!(told("a--'\nb/* ' */c/*/ d"), "a b c");
        assert_eq!(told("a -b / c --"), "a - b / c");
        assert_eq!(told("'--' \"/*\" d"), "'--' </*> d");
        assert_eq!(told("a\0CHECK"), "a");
        assert_eq!(told("\u{feff}CHECK"), "CHECK");
        assert_eq!(told(""), "");
    }

    #[test]
    fn quotes_and_cases_of_names_make_no_difference() {
        assert!(tokens("create TABLE \"Entries_1\"") == tokens("CREATE table entries_1"));
        assert!(tokens("'a'") != tokens("'A'"));
        assert!(tokens("'a'") != tokens("a"));
        assert!(!Token::Quoted("as").is("AS") && Token::Word("As").is("AS"));
        assert_eq!(
            [Token::Word("1"), Token::Sign('('), Token::Literal("a")]
                .map(|token| token.name().is_some()),
            [false, false, true]
        );
    }
}
