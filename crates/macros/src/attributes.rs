//! Reading and judging `#[cacheable(..)]`.

use crate::problems::Problems;
use proc_macro2::{Span, TokenTree};
use semver::{Version, VersionReq};
use syn::meta::ParseNestedMeta;
use syn::parse::ParseStream;
use syn::{Attribute, Error, Ident, LitStr, Path, Result, Token};

/// What `#[cacheable(..)]` asks for, found to be valid.
pub struct Attributes {
    pub version: Version,
    /// `None`: the type's identifier.
    pub name: Option<LitStr>,
    pub upgrade: Option<Upgrade>,
    /// Where the main crate is found; `None`: under its own name.
    pub krate: Option<Path>,
}

/// How rows of older versions become current ones.
pub struct Upgrade {
    /// A `fn(Outdated<'_>) -> Option<Self>`.
    pub function: Path,
    /// A valid `VersionReq`: the stored versions that the function is for.
    pub requirement: LitStr,
}

impl Attributes {
    /// Reads the attributes of a type; `None` after noting what is wrong with them.
    pub fn parse(attributes: &[Attribute], problems: &mut Problems) -> Option<Self> {
        let mut written = Written::default();
        for attribute in attributes {
            if !attribute.path().is_ident("cacheable") {
                continue;
            }
            let read = written.read(attribute, problems);
            // Behind broken syntax a missing key may well be there, so nothing more is judged.
            problems.keep(read)?;
        }
        written.judge(problems)
    }
}

/// The keys as they were written. A key whose value could not be read is in `keys` only.
#[derive(Default)]
struct Written<'a> {
    first: Option<&'a Attribute>,
    keys: Vec<Ident>,
    version: Option<LitStr>,
    name: Option<LitStr>,
    upgrade: Option<Path>,
    upgrades: Option<LitStr>,
    krate: Option<LitStr>,
}

impl<'a> Written<'a> {
    /// Takes in one attribute. A bad key or value is noted and skipped; an error means that the
    /// rest cannot be read.
    fn read(&mut self, attribute: &'a Attribute, problems: &mut Problems) -> Result<()> {
        self.first = self.first.or(Some(attribute));
        attribute.parse_nested_meta(|meta| {
            if let Err(problem) = self.read_pair(&meta) {
                problems.add(problem);
                skip_value(meta.input)?;
            }
            Ok(())
        })
    }

    fn read_pair(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let key = known_key(meta)?;
        let name = key.to_string();
        if self.key(&name).is_some() {
            return Err(meta.error(format_args!("`{name}` is given twice")));
        }
        self.keys.push(key);
        if name == "upgrade" {
            self.upgrade = Some(function(meta.value()?)?);
            return Ok(());
        }
        let value = Some(text(&name, meta.value()?)?);
        match name.as_str() {
            "version" => self.version = value,
            "name" => self.name = value,
            "upgrades" => self.upgrades = value,
            _ => self.krate = value,
        }
        Ok(())
    }

    /// The place where `name` was written, whatever its value.
    fn key(&self, name: &str) -> Option<&Ident> {
        self.keys.iter().find(|key| *key == name)
    }

    fn judge(self, problems: &mut Problems) -> Option<Attributes> {
        if self.key("version").is_none() {
            problems.add(self.without_version());
        }
        for (one, other, advice) in [
            ("upgrade", "upgrades", "the stored versions it is for, such as `upgrades = \"^1.0\"`"),
            ("upgrades", "upgrade", "the function that reads them, such as `upgrade = from_old`"),
        ] {
            if let (Some(key), None) = (self.key(one), self.key(other)) {
                let message = format_args!("`{one}` needs `{other}`: {advice}");
                problems.add(Error::new(key.span(), message));
            }
        }
        let version = self.version.and_then(|literal| problems.keep(version(&literal)));
        let requirement = self.upgrades.and_then(|literal| problems.keep(requirement(literal)));
        let name = self.name.and_then(|literal| problems.keep(type_name(literal)));
        let krate = self.krate.and_then(|literal| problems.keep(crate_path(&literal)));
        let upgrade = self
            .upgrade
            .zip(requirement)
            .map(|(function, requirement)| Upgrade { function, requirement });
        Some(Attributes { version: version?, name, upgrade, krate })
    }

    fn without_version(&self) -> Error {
        let message = "the schema version is missing: write `#[cacheable(version = \"1.0.0\")]`";
        match self.first {
            Some(attribute) => Error::new_spanned(attribute, message),
            None => Error::new(Span::call_site(), message),
        }
    }
}

fn known_key(meta: &ParseNestedMeta<'_>) -> Result<Ident> {
    const KNOWN: [&str; 5] = ["version", "name", "upgrade", "upgrades", "crate"];
    match meta.path.get_ident() {
        Some(key) if KNOWN.iter().any(|known| key == known) => Ok(key.clone()),
        _ => {
            let message =
                "unknown key; known are `version`, `name`, `upgrade`, `upgrades`, `crate`";
            Err(meta.error(message))
        }
    }
}

fn text(key: &str, value: ParseStream<'_>) -> Result<LitStr> {
    value.parse().map_err(|refused: Error| {
        Error::new(refused.span(), format_args!("`{key}` takes a string: `{key} = \"..\"`"))
    })
}

fn function(value: ParseStream<'_>) -> Result<Path> {
    value.parse().map_err(|refused: Error| {
        Error::new(
            refused.span(),
            "`upgrade` takes the path of a function, without quotes: `upgrade = path::to::function`",
        )
    })
}

/// Moves on to the next key after one that was refused.
pub fn skip_value(input: ParseStream<'_>) -> Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

fn version(literal: &LitStr) -> Result<Version> {
    Version::parse(&literal.value()).map_err(|cause| {
        Error::new(
            literal.span(),
            format_args!("`version` must be a semantic version such as \"1.0.0\": {cause}"),
        )
    })
}

fn requirement(literal: LitStr) -> Result<LitStr> {
    match VersionReq::parse(&literal.value()) {
        Ok(_) => Ok(literal),
        Err(cause) => Err(Error::new(
            literal.span(),
            format_args!("`upgrades` must be a semver requirement such as \"^1.0\": {cause}"),
        )),
    }
}

fn type_name(literal: LitStr) -> Result<LitStr> {
    // They set the arguments of a generic type's name apart: as long as no plain name has them,
    // two different lists of arguments never read the same.
    const RESERVED: [char; 4] = ['<', '>', ',', '\''];
    let name = literal.value();
    if name.trim().is_empty() {
        let message = "`name` is empty; leave it out to store the type under its identifier";
        return Err(Error::new(literal.span(), message));
    }
    if let Some(reserved) = name.chars().find(|char| RESERVED.contains(char)) {
        return Err(Error::new(
            literal.span(),
            format_args!("`name` must not contain `{reserved}`: generic types are named with it"),
        ));
    }
    Ok(literal)
}

pub fn crate_path(literal: &LitStr) -> Result<Path> {
    literal.parse_with(Path::parse_mod_style).map_err(|cause| {
        Error::new(
            literal.span(),
            format_args!("`crate` must be a path such as \"renamed\" or \"other::cache\": {cause}"),
        )
    })
}
