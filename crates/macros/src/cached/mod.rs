//! `#[cached]`: a function whose calls go through a cache.

mod attributes;
mod expand;
mod refuse;

use crate::problems::Problems;
use attributes::Attributes;
use proc_macro2::TokenStream;
use syn::parse::Parser;
use syn::{Error, ItemFn, Result, parse2};

/// The function `item` as `arguments` want it.
pub fn cached(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = parse2(item).map_err(|cause| {
        Error::new(
            cause.span(),
            format_args!("`#[cached]` goes on a function or method that has a body: {cause}"),
        )
    })?;
    let mut problems = Problems::default();
    refuse::what_cannot_be_cached(&function.sig, &mut problems);
    let attributes = Attributes::parse(arguments, &mut problems);
    if attributes.as_ref().is_none_or(|attributes| attributes.key.is_none()) {
        refuse::what_makes_no_key(&function.sig, &mut problems);
    }
    problems.or(attributes).map(|attributes| expand::function(function, &attributes))
}

impl Attributes {
    fn parse(arguments: TokenStream, problems: &mut Problems) -> Option<Self> {
        let mut attributes = Self::default();
        let parser = syn::meta::parser(|meta| attributes.read(&meta, problems));
        let read = parser.parse2(arguments);
        problems.keep(read)?;
        attributes.judge(problems);
        Some(attributes)
    }
}

#[cfg(test)]
mod tests;
