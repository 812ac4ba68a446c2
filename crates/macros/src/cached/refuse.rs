//! Functions that no cache can answer for.

use crate::problems::Problems;
use syn::visit::{self, Visit};
use syn::{
    Error, FnArg, PathSegment, Receiver, ReceiverKind, ReturnType, Signature, Type, TypeImplTrait,
};

pub fn what_cannot_be_cached(signature: &Signature, problems: &mut Problems) {
    if let Some(constness) = &signature.constness {
        let message =
            "a `const` function cannot be cached: it has no cache while the program is compiled";
        problems.add(Error::new_spanned(constness, message));
    }
    if let Some(variadic) = &signature.variadic {
        let message = "a variadic function cannot be cached: its arguments cannot be told";
        problems.add(Error::new_spanned(variadic, message));
    }
    if let Some(asyncness) = &signature.asyncness
        && !cfg!(feature = "future")
    {
        let message = "an `async` function can be cached with the feature `future` of \
                       `disk-backed-cache`: enable it";
        problems.add(Error::new_spanned(asyncness, message));
    }
    if let ReturnType::Type(_, result) = &signature.output
        && let Some(opaque) = opaque(result)
    {
        let message = "a result that is `impl Trait` cannot be kept: name its type";
        problems.add(Error::new_spanned(opaque, message));
    }
    for argument in &signature.inputs {
        match argument {
            FnArg::Receiver(receiver) => refuse_receiver(receiver, problems),
            FnArg::Typed(argument) => refuse_type(&argument.ty, problems),
        }
    }
}

fn refuse_receiver(receiver: &Receiver, problems: &mut Problems) {
    let message = match &receiver.kind {
        ReceiverKind::Reference(_, _, None) => return,
        ReceiverKind::Reference(..) => {
            "a cached method cannot change `self`: a call that the cache answers would not; take `&self`"
        }
        _ => "a cached method takes `&self`, or no `self` at all",
    };
    problems.add(Error::new_spanned(receiver, message));
}

fn refuse_type(written: &Type, problems: &mut Problems) {
    match written {
        Type::Reference(reference) if reference.mutability.is_some() => {
            let message = "a cached function cannot change its arguments: a call that the cache \
                           answers would not; take `&` and return what is new";
            problems.add(Error::new_spanned(written, message));
        }
        _ => {
            if let Some(opaque) = opaque(written) {
                let message = "the type of an `impl Trait` argument has no name that could be part of \
                               a key: write a type parameter, `fn name<T: Trait>(argument: T)`";
                problems.add(Error::new_spanned(opaque, message));
            }
        }
    }
}

/// Where the arguments make the key.
pub fn what_makes_no_key(signature: &Signature, problems: &mut Problems) {
    for argument in &signature.inputs {
        let FnArg::Typed(argument) = argument else { continue };
        let mut sets = HashSets::default();
        sets.visit_type(&argument.ty);
        if let Some(set) = sets.first {
            let message = "a `HashSet` has no order, and each run another one, so its calls would \
                           not be found again: take a `BTreeSet`, or say what the key is, `key = \"..\"`";
            problems.add(Error::new_spanned(set, message));
        }
    }
}

#[derive(Default)]
struct HashSets {
    first: Option<PathSegment>,
}

impl<'ast> Visit<'ast> for HashSets {
    fn visit_path_segment(&mut self, segment: &'ast PathSegment) {
        if segment.ident == "HashSet" {
            self.first.get_or_insert_with(|| segment.clone());
        }
        visit::visit_path_segment(self, segment);
    }
}

/// The first `impl Trait` in a type.
fn opaque(written: &Type) -> Option<TypeImplTrait> {
    let mut opaque = Opaque::default();
    opaque.visit_type(written);
    opaque.first
}

#[derive(Default)]
struct Opaque {
    first: Option<TypeImplTrait>,
}

impl<'ast> Visit<'ast> for Opaque {
    fn visit_type_impl_trait(&mut self, found: &'ast TypeImplTrait) {
        self.first.get_or_insert_with(|| found.clone());
    }
}
