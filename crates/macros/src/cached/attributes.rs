//! Reading and judging `#[cached(..)]`.

use crate::attributes::{crate_path, skip_value};
use crate::problems::Problems;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use std::time::Duration;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, ExprReference, Ident, Lit, LitStr, Path, Result};

/// What `#[cached(..)]` asks for.
#[derive(Default)]
pub struct Attributes {
    seen: Vec<Ident>,
    /// An expression for the cache; `None`: the default one.
    pub cache: Option<Expr>,
    pub key: Option<Text>,
    pub ttl: Option<Time>,
    pub fixed_ttl: Option<Time>,
    pub tags: Vec<Text>,
    /// Whether errors are kept.
    pub result: bool,
    /// Whether `None` is kept.
    pub option: bool,
    pub condition: Option<Expr>,
    pub switch: Option<Text>,
    pub switches: Option<Expr>,
    /// Where the main crate is found; `None`: under its own name.
    pub krate: Option<Path>,
}

/// A text that is made for each call.
pub enum Text {
    Format(LitStr),
    Expression(Box<Expr>),
}

/// How long a result lives.
pub enum Time {
    Known(Duration),
    Expression(Box<Expr>),
}

const KNOWN: [&str; 11] = [
    "cache",
    "key",
    "ttl",
    "fixed_ttl",
    "tag",
    "result",
    "option",
    "if",
    "switch",
    "switches",
    "crate",
];

impl Attributes {
    /// Takes in one key. A bad key or value is noted and skipped; an error means that the rest cannot be read.
    pub fn read(&mut self, meta: &ParseNestedMeta<'_>, problems: &mut Problems) -> Result<()> {
        if let Err(problem) = self.read_key(meta) {
            problems.add(problem);
            skip_value(meta.input)?;
        }
        Ok(())
    }

    fn read_key(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let key = known_key(meta)?;
        let name = key.to_string();
        if name != "tag" && self.key_of(&name).is_some() {
            return Err(meta.error(format_args!("`{name}` is given twice")));
        }
        self.seen.push(key);
        if let "result" | "option" = name.as_str() {
            return self.flag(&name, meta);
        }
        if !meta.input.peek(syn::Token![=]) {
            return Err(without_value(&name, meta));
        }
        let value: Expr = meta.value()?.parse()?;
        match name.as_str() {
            "cache" => self.cache = Some(expression(value)?),
            "if" => self.condition = Some(expression(value)?),
            "switches" => self.switches = Some(expression(value)?),
            "key" => self.key = Some(filled(&name, value)?),
            "switch" => self.switch = Some(filled(&name, value)?),
            "ttl" => self.ttl = Some(time(&name, value)?),
            "fixed_ttl" => self.fixed_ttl = Some(time(&name, value)?),
            "tag" => self.tags.push(filled(&name, value)?),
            _ => self.krate = Some(path(&value)?),
        }
        Ok(())
    }

    fn flag(&mut self, name: &str, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if !meta.input.is_empty() && !meta.input.peek(syn::Token![,]) {
            let kept = if name == "result" { "errors" } else { "`None`" };
            return Err(meta.error(format_args!(
                "`{name}` takes no value: where it stands {kept} are kept too, and without it they are not"
            )));
        }
        match name {
            "result" => self.result = true,
            _ => self.option = true,
        }
        Ok(())
    }

    /// The place where `name` was written, whatever its value.
    fn key_of(&self, name: &str) -> Option<&Ident> {
        self.seen.iter().find(|key| *key == name)
    }

    pub fn judge(&self, problems: &mut Problems) {
        if let (Some(_), Some(fixed)) = (self.key_of("ttl"), self.key_of("fixed_ttl")) {
            let message = "`ttl` and `fixed_ttl` contradict each other; choose one";
            problems.add(Error::new(fixed.span(), message));
        }
        if let (Some(switches), None) = (self.key_of("switches"), self.key_of("switch")) {
            let message = "`switches` needs `switch`: the key of the flag in it";
            problems.add(Error::new(switches.span(), message));
        }
    }
}

fn known_key(meta: &ParseNestedMeta<'_>) -> Result<Ident> {
    match meta.path.get_ident() {
        Some(key) if KNOWN.iter().any(|known| key == known) => Ok(key.clone()),
        _ => Err(meta.error(format_args!("unknown key; known are `{}`", KNOWN.join("`, `")))),
    }
}

fn without_value(name: &str, meta: &ParseNestedMeta<'_>) -> Error {
    let (value, what) = match name {
        "cache" => ("CACHE", "an expression for the cache"),
        "switches" => ("SWITCHES", "an expression for the cache of the flags"),
        "if" => ("number > 0", "an expression for whether the call is cached"),
        "ttl" | "fixed_ttl" => ("1h", "how long a result lives"),
        "crate" => ("other::cache", "where the `disk_backed_cache` crate is found"),
        _ => ("number:{number}", "a format string over the arguments"),
    };
    meta.error(format_args!("`{name}` takes a value, {what}: `{name} = \"{value}\"`"))
}

/// An expression, in quotes or without.
fn expression(value: Expr) -> Result<Expr> {
    match literal(&value) {
        Some(quoted) => quoted.parse(),
        None => Ok(value),
    }
}

/// A format string in quotes, or an expression without.
fn text(value: Expr) -> Text {
    match literal(&value) {
        Some(format) => Text::Format(format.clone()),
        None => Text::Expression(Box::new(value)),
    }
}

/// A text that is a key or a tag, which is never empty.
fn filled(name: &str, value: Expr) -> Result<Text> {
    match literal(&value) {
        Some(empty) if empty.value().is_empty() => {
            let message =
                format_args!("`{name}` is empty; give it 1 to 256 characters, or leave it out");
            Err(Error::new(empty.span(), message))
        }
        _ => Ok(text(value)),
    }
}

fn time(key: &str, value: Expr) -> Result<Time> {
    let Some(text) = literal(&value) else {
        return match value {
            Expr::Lit(number) => Err(Error::new_spanned(
                number,
                format_args!("`{key}` takes a time with its unit, such as \"1h\" or \"90s\""),
            )),
            value => Ok(Time::Expression(Box::new(value))),
        };
    };
    match humantime::parse_duration(&text.value()) {
        Ok(Duration::ZERO) => {
            let message = format_args!(
                "`{key}` is zero: nothing would be kept; leave it out to keep it for ever"
            );
            Err(Error::new(text.span(), message))
        }
        Ok(time) => Ok(Time::Known(time)),
        Err(cause) => {
            let message =
                format_args!("`{key}` must be a time such as \"1h 30min\" or \"250ms\": {cause}");
            Err(Error::new(text.span(), message))
        }
    }
}

fn path(value: &Expr) -> Result<Path> {
    match literal(value) {
        Some(text) => crate_path(text),
        None => Err(Error::new(value.span(), "`crate` takes a string: `crate = \"..\"`")),
    }
}

fn literal(value: &Expr) -> Option<&LitStr> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text),
        _ => None,
    }
}

impl Text {
    /// An expression for a reference to the text.
    pub fn tokens(&self) -> TokenStream {
        match self {
            Self::Format(format) => quote!(&::std::format!(#format)),
            Self::Expression(expression) => borrowed(expression).into_token_stream(),
        }
    }

    /// An expression for the text as a `&str`, whatever type it has.
    pub fn as_str(&self) -> TokenStream {
        let text = self.tokens();
        quote!(::core::convert::AsRef::<::core::primitive::str>::as_ref(#text))
    }
}

/// A reference to what an expression names.
pub fn borrowed(expression: &Expr) -> Expr {
    Expr::Reference(ExprReference {
        attrs: Vec::new(),
        and_token: Default::default(),
        mutability: None,
        expr: Box::new(expression.clone()),
    })
}

impl Time {
    /// An expression for the time.
    pub fn tokens(&self) -> TokenStream {
        match self {
            Self::Known(time) => {
                let (secs, nanos) = (time.as_secs(), time.subsec_nanos());
                quote!(::core::time::Duration::new(#secs, #nanos))
            }
            Self::Expression(expression) => quote!(#expression),
        }
    }
}
