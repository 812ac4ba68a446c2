//! Writing the implementation.
//!
//! The code lands among names nobody knows here, so it uses only absolute paths, paths below the
//! main crate, literals, and locals with names that nobody else takes (a constant of the same name
//! would capture them): no prelude names, no primitive types by their plain names.

use crate::attributes::{Attributes, Upgrade};
use crate::problems::Problems;
use proc_macro2::TokenStream;
use quote::quote;
use semver::Version;
use syn::ext::IdentExt;
use syn::{
    ConstParam, Data, DeriveInput, Error, GenericParam, Generics, LitStr, Path, Result, TypeParam,
    parse_quote,
};

/// The `Cacheable` implementation for `input`.
pub fn cacheable(input: DeriveInput) -> Result<TokenStream> {
    let mut problems = Problems::default();
    refuse_what_cannot_be_cached(&input, &mut problems);
    let attributes = Attributes::parse(&input.attrs, &mut problems);
    let Attributes { version, name, upgrade, krate } = problems.or(attributes)?;

    let DeriveInput { ident, mut generics, .. } = input;
    let krate = krate.unwrap_or_else(|| parse_quote!(::disk_backed_cache));
    let name = name.unwrap_or_else(|| LitStr::new(&ident.unraw().to_string(), ident.span()));
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(#krate::Cacheable));
    }
    let type_name = type_name(&name, &generics, &krate);
    let schema_version = schema_version(&version, &krate);
    let upgrading = upgrade.map(|upgrade| upgrading(&upgrade, &krate));

    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    // Deprecating a type is no reason to warn where it implements a trait.
    Ok(quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #impl_generics #krate::Cacheable for #ident #type_generics #where_clause {
            fn type_name() -> ::std::borrow::Cow<'static, ::core::primitive::str> {
                #type_name
            }

            fn schema_version() -> #krate::semver::Version {
                #schema_version
            }

            #upgrading
        }
    })
}

fn refuse_what_cannot_be_cached(input: &DeriveInput, problems: &mut Problems) {
    if let Data::Union(data) = &input.data {
        let message = "a union cannot be cached: nothing says which of its fields to store";
        problems.add(Error::new(data.union_token.span, message));
    }
    for parameter in input.generics.lifetimes() {
        let message = "a cached type owns its data and has no lifetime parameters: \
                       hold `String` instead of `&str`, or a `Cow<'static, _>`";
        problems.add(Error::new_spanned(&parameter.lifetime, message));
    }
}

/// The plain name, or `name<argument, ...>`: types by their names, constants by their values.
fn type_name(name: &LitStr, generics: &Generics, krate: &Path) -> TokenStream {
    let mut placeholders = Vec::new();
    let mut arguments = Vec::new();
    for parameter in &generics.params {
        match parameter {
            GenericParam::Type(TypeParam { ident, .. }) => {
                placeholders.push("{}");
                arguments.push(quote!(<#ident as #krate::Cacheable>::type_name()));
            }
            GenericParam::Const(ConstParam { ident, .. }) => {
                placeholders.push("{:?}");
                arguments.push(quote!(#ident));
            }
            GenericParam::Lifetime(_) => {}
        }
    }
    if arguments.is_empty() {
        return quote!(::std::borrow::Cow::Borrowed(#name));
    }
    let format = format!("{{}}<{}>", placeholders.join(", "));
    quote!(::std::borrow::Cow::Owned(::std::format!(#format, #name, #(#arguments),*)))
}

/// The version, built from its parts.
fn schema_version(version: &Version, krate: &Path) -> TokenStream {
    let Version { major, minor, patch, pre, build } = version;
    if pre.is_empty() && build.is_empty() {
        return quote!(#krate::semver::Version::new(#major, #minor, #patch));
    }
    let pre = identifier(&parse_quote!(#krate::semver::Prerelease), pre);
    let build = identifier(&parse_quote!(#krate::semver::BuildMetadata), build);
    quote! {
        #krate::semver::Version {
            major: #major,
            minor: #minor,
            patch: #patch,
            pre: #pre,
            build: #build,
        }
    }
}

fn identifier(of: &Path, text: &str) -> TokenStream {
    if text.is_empty() {
        quote!(#of::EMPTY)
    } else {
        quote!(#of::new(#text).expect("checked at compile time"))
    }
}

/// The two functions of a type that can read older rows.
fn upgrading(upgrade: &Upgrade, krate: &Path) -> TokenStream {
    let Upgrade { function, requirement } = upgrade;
    quote! {
        fn compatibility(__stored: &#krate::semver::Version) -> #krate::Compatibility {
            static __UPGRADES: ::std::sync::LazyLock<#krate::semver::VersionReq> =
                ::std::sync::LazyLock::new(|| {
                    #krate::semver::VersionReq::parse(#requirement).expect("checked at compile time")
                });
            let __own = <Self as #krate::Cacheable>::schema_version();
            if *__stored == __own {
                #krate::Compatibility::Current
            } else if *__stored < __own && __UPGRADES.matches(__stored) {
                #krate::Compatibility::Upgrade
            } else {
                #krate::Compatibility::Discard
            }
        }

        fn upgrade(__old: #krate::Outdated<'_>) -> ::core::option::Option<Self> {
            let __upgrade: fn(#krate::Outdated<'_>) -> ::core::option::Option<Self> = #function;
            __upgrade(__old)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(input: DeriveInput) -> String {
        cacheable(input).unwrap().to_string()
    }

    fn problems(input: DeriveInput) -> Vec<String> {
        cacheable(input).unwrap_err().into_iter().map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn a_renamed_crate_is_found_under_its_new_name_only() {
        let code = expand(parse_quote! {
            #[cacheable(
                version = "1.0.0-rc.1+7", upgrade = from_v0, upgrades = "^0.1", crate = "other::cache"
            )]
            struct Page<T, const N: usize>([T; N]);
        });
        assert!(code.contains("other :: cache :: Cacheable for Page"), "{code}");
        assert!(!code.contains("disk_backed_cache"), "{code}");
    }

    #[test]
    fn the_crate_is_found_at_an_absolute_path_by_default() {
        let code = expand(parse_quote! {
            #[cacheable(version = "1.0.0")]
            struct User;
        });
        assert!(code.contains("impl :: disk_backed_cache :: Cacheable for User"), "{code}");
    }

    #[test]
    fn a_type_that_upgrades_nothing_keeps_the_default_verdicts() {
        let code = expand(parse_quote! {
            #[cacheable(version = "1.0.0")]
            enum Shape { Dot, Line }
        });
        assert!(!code.contains("fn compatibility") && !code.contains("fn upgrade"), "{code}");
    }

    #[test]
    fn the_code_is_marked_as_derived() {
        let code = expand(parse_quote! {
            #[cacheable(version = "1.0.0")]
            struct User;
        });
        assert!(code.starts_with("# [automatically_derived]"), "{code}");
    }

    #[test]
    fn mistakes_of_the_shape_and_of_every_key_are_reported_together() {
        let problems = problems(parse_quote! {
            #[cacheable(version = "1.0", name = "", upgrade = from_v0, crate = "a b", color = 3)]
            #[cacheable(name = "again")]
            union Bits<'a, 'b> { one: &'a u32, other: &'b u32 }
        });
        let expected = [
            "a union",
            "no lifetime",
            "no lifetime",
            "unknown key",
            "`name` is given twice",
            "`upgrade` needs `upgrades`",
            "`version` must be",
            "`name` is empty",
            "`crate` must be",
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.contains(expected), "{problem:?} is not about {expected:?}");
        }
    }

    #[test]
    fn broken_syntax_is_not_taken_for_a_missing_key() {
        let problems = problems(parse_quote! {
            #[cacheable(name = "user" version = "1.0.0")]
            struct User;
        });
        assert_eq!(problems, ["expected `,`"]);
    }
}
