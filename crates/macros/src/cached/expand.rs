//! Writing the function.
//!
//! Its own names are hygienic (`Span::mixed_site`), so that no argument is taken for one of them. All else is
//! named by absolute paths and paths below the main crate, as in `#[derive(Cacheable)]`.

use super::attributes::{Attributes, borrowed};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, ItemFn, Pat, Path, ReturnType, Signature, Type, parse_quote};

/// `function`, whose calls go through a cache.
pub fn function(mut function: ItemFn, attributes: &Attributes) -> TokenStream {
    let krate = attributes.krate.clone().unwrap_or_else(|| parse_quote!(::disk_backed_cache));
    let arguments = name_arguments(&mut function.sig);
    let writer = Writer {
        attributes,
        is_async: function.sig.asyncness.is_some(),
        expansion: quote!(#krate::memo::expansion),
        result: result_of(&function.sig.output),
        krate,
    };
    let [asked, options, body] = ["asked", "options", "body"].map(local);
    let (key, asked_options) = (writer.key(&arguments), writer.options());
    let rebound = arguments.iter().filter_map(|argument| argument.rebound.as_ref());
    let statements = &function.block.stmts;
    let work = writer.work(quote!(#(#rebound)* #(#statements)*));
    let (call, run) = (writer.call(), writer.run());
    // The key is made first: the body takes the arguments.
    function.block = match writer.condition() {
        None => parse_quote!({
            let (#asked, #options) = (#key, #asked_options);
            let #body = #work;
            #call
        }),
        Some(condition) => parse_quote!({
            let #asked = if #condition {
                ::core::option::Option::Some((#key, #asked_options))
            } else {
                ::core::option::Option::None
            };
            let #body = #work;
            match #asked {
                ::core::option::Option::Some((#asked, #options)) => #call,
                ::core::option::Option::None => #run,
            }
        }),
    };
    function.into_token_stream()
}

/// An argument as the key sees it, and the body.
struct Argument {
    /// An expression for a reference to it.
    reference: TokenStream,
    /// Its type, as it is written.
    written: Type,
    /// What makes of it what the body knows, where that is something else.
    rebound: Option<TokenStream>,
}

/// Gives each argument a plain name in the signature.
fn name_arguments(signature: &mut Signature) -> Vec<Argument> {
    let named = signature.inputs.iter_mut().enumerate().map(|(index, input)| match input {
        FnArg::Receiver(receiver) => Argument {
            reference: receiver.self_token.into_token_stream(),
            written: parse_quote!(&Self),
            rebound: None,
        },
        FnArg::Typed(argument) => {
            let written = (*argument.ty).clone();
            let (name, plain) = match &*argument.pat {
                Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => {
                    (pat.ident.clone(), pat.mutability.is_none())
                }
                _ => (local(&format!("argument_{index}")), false),
            };
            let pattern = &argument.pat;
            let rebound = (!plain).then(|| quote!(let #pattern = #name;));
            *argument.pat = parse_quote!(#name);
            Argument { reference: quote!(&#name), written, rebound }
        }
    });
    named.collect()
}

fn result_of(output: &ReturnType) -> Type {
    match output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, result) => (**result).clone(),
    }
}

/// A name that nobody else knows.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// Our own code, at the place that its mistakes are about.
fn at(place: &impl Spanned) -> Span {
    Span::mixed_site().located_at(place.span())
}

struct Writer<'a> {
    attributes: &'a Attributes,
    is_async: bool,
    krate: Path,
    /// The path of what the main crate has for expansions.
    expansion: TokenStream,
    /// The type of the function's results.
    result: Type,
}

impl Writer<'_> {
    /// An expression for the key, or why there is none.
    fn key(&self, arguments: &[Argument]) -> TokenStream {
        let expansion = &self.expansion;
        if let Some(key) = &self.attributes.key {
            let key = key.tokens();
            return quote!(#expansion::key_of(#key));
        }
        let arguments = arguments.iter().map(|Argument { reference, written, .. }| {
            // Without spaces, which the compiler may print elsewhere one day.
            let text: String = written.to_token_stream().to_string().split_whitespace().collect();
            quote_spanned!(at(written)=> .argument(#text, #reference))
        });
        quote!(#expansion::Key::new(&|| ())#(#arguments)*.end())
    }

    /// An expression for what the cache is told of a result.
    fn options(&self) -> TokenStream {
        let Attributes { ttl, fixed_ttl, tags, .. } = self.attributes;
        let krate = &self.krate;
        let times = [("ttl", ttl), ("fixed_ttl", fixed_ttl)];
        let times = times.into_iter().filter_map(|(name, time)| {
            let (name, time) = (format_ident!("{name}"), time.as_ref()?.tokens());
            Some(quote!(.#name(#time)))
        });
        let tags = tags.iter().map(|tag| {
            let tag = tag.as_str();
            quote!(.tag(#tag))
        });
        let calls: Vec<TokenStream> = times.chain(tags).collect();
        if calls.is_empty() {
            quote!(::core::option::Option::None)
        } else {
            quote!(::core::option::Option::Some(#krate::PutOptions::new()#(#calls)*))
        }
    }

    /// An expression for whether a call is cached; `None`: always.
    fn condition(&self) -> Option<TokenStream> {
        let Attributes { condition, switch, switches, .. } = self.attributes;
        let expansion = &self.expansion;
        let switch = switch.as_ref().map(|key| {
            let key = key.as_str();
            let suffix = if self.is_async { "_async" } else { "" };
            let wait = self.is_async.then(|| quote!(.await));
            match switches.as_ref().map(borrowed) {
                Some(switches) => {
                    let is_on = format_ident!("is_on{suffix}");
                    quote!(#expansion::#is_on(#switches, #key)#wait)
                }
                None => {
                    let is_on = format_ident!("is_on_default{suffix}");
                    quote!(#expansion::#is_on(#key)#wait)
                }
            }
        });
        match (condition, switch) {
            (Some(condition), Some(switch)) => Some(quote!({ #condition } && #switch)),
            (Some(condition), None) => Some(condition.to_token_stream()),
            (None, switch) => switch,
        }
    }

    /// An expression for the body, which takes the arguments and has not run yet.
    fn work(&self, body: TokenStream) -> TokenStream {
        let Self { expansion, result, .. } = self;
        if self.is_async {
            quote!(#expansion::body::<#result, _>(async move { #body }))
        } else {
            quote!(move || -> #result { #body })
        }
    }

    /// An expression for the result of a call that is cached.
    fn call(&self) -> TokenStream {
        let Self { expansion, result, .. } = self;
        let [asked, options, body, kind] = ["asked", "options", "body", "kind"].map(local);
        let choice = match (self.attributes.result, self.attributes.option) {
            (false, false) => quote!(successes),
            (true, false) => quote!(with_errors),
            (false, true) => quote!(with_none),
            (true, true) => quote!(with_both),
        };
        let suffix = if self.is_async { "_async" } else { "" };
        let wait = self.is_async.then(|| quote!(.await));
        let (name, cache) = match self.attributes.cache.as_ref().map(borrowed) {
            Some(cache) => (format_ident!("call{suffix}"), Some(quote!(#cache,))),
            None => (format_ident!("call_default{suffix}"), None),
        };
        let outcome = quote_spanned! {at(result)=> {
            use #expansion::#choice::*;
            (&&&&&&#kind).outcome()
        }};
        let called = quote_spanned! {at(result)=>
            #expansion::#name(#kind, #outcome, #cache #asked, #options, #body)#wait
        };
        quote!({
            let #kind = #expansion::Kind::<#result>::new();
            #called
        })
    }

    /// An expression for the result of a call that is not.
    fn run(&self) -> TokenStream {
        let body = local("body");
        if self.is_async { quote!(#body.await) } else { quote!(#body()) }
    }
}
