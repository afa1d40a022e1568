//! Which modules of a crate need which: those that define what they name, in a `use` or in a path anywhere in the code.
//!
//! What matters is where a thing is defined, not by which way it is imported: `use crate::Thing` needs the module that the
//! root has it from, and not the root. A module is also needed where it is itself imported, and where all of it is, by
//! `*`. What the compiler alone can know is not looked for: methods, what macros expand to, and what is in a macro's
//! braces unless that is a list of expressions.

use std::collections::BTreeSet;
use std::path::Path;

use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, Expr, ImplItemFn, Item, Macro, Stmt, Token, Visibility};

use super::modules::{Import, Tree, is_for_tests, is_item_for_tests, line};

/// That a module names something of another, and where.
#[derive(Debug)]
pub(super) struct Need<'a> {
    pub(super) from: usize,
    pub(super) to: usize,
    /// As it is called where it is defined; `self` and `*` as in a `use`.
    pub(super) name: String,
    pub(super) file: &'a Path,
    pub(super) line: usize,
}

/// All that the modules of a crate need of one another, each as often as it is written.
pub(super) fn needs(tree: &Tree) -> Vec<Need<'_>> {
    let mut needs = Vec::new();
    for (module, of_module) in tree.modules.iter().enumerate() {
        for (file, items) in &of_module.sources {
            let mut reading = Reading { names: Names { tree }, module, file, local: Vec::new(), needs: &mut needs };
            items.iter().for_each(|item| reading.visit_item(item));
        }
    }
    needs
}

/// What a path may lead to. To several at once: a function can be called as a module is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Module(usize),
    /// Something of this name that the module defines.
    Item(usize, String),
    Outside,
}

type Targets = BTreeSet<Target>;

/// The imports on the way to a target, with what is looked for through them: some lead back to themselves.
type Way = Vec<(usize, usize, String)>;

struct Names<'a> {
    tree: &'a Tree,
}

impl Names<'_> {
    /// Where a path leads that is written in this module.
    fn resolve(&self, module: usize, path: &[String], way: &mut Way) -> Targets {
        let Some((first, rest)) = path.split_first() else { return Targets::new() };
        let start = match first.as_str() {
            "crate" => [Target::Module(0)].into(),
            "self" | "super" => self.step(Target::Module(module), first, way),
            // Neither here nor imported: another crate, or what the language brings.
            _ => Some(self.lookup(module, first, way)).filter(|it| !it.is_empty()).unwrap_or([Target::Outside].into()),
        };
        rest.iter().fold(start, |targets, word| {
            let is_module = |target: &Target| matches!(target, Target::Module(_));
            // Of things that share a name, only a module has anything inside.
            let has_module = targets.iter().any(is_module);
            let targets = targets.into_iter().filter(|target| !has_module || is_module(target));
            targets.flat_map(|target| self.step(target, word, way)).collect()
        })
    }

    /// From what a path has led to, one word further. What is inside of an item is that item's.
    fn step(&self, target: Target, word: &str, way: &mut Way) -> Targets {
        let Target::Module(module) = target else { return [target].into() };
        match word {
            "self" => [target].into(),
            "super" => [self.tree.modules[module].parent.map_or(Target::Outside, Target::Module)].into(),
            _ => {
                let found = self.lookup(module, word, way);
                // A macro has defined it.
                if found.is_empty() { [Target::Item(module, word.to_owned())].into() } else { found }
            }
        }
    }

    /// What is called this in the module.
    fn lookup(&self, module: usize, name: &str, way: &mut Way) -> Targets {
        let of_module = &self.tree.modules[module];
        let mut targets: Targets =
            of_module.children.get(name).map(|child| Target::Module(*child)).into_iter().collect();
        targets.extend(of_module.items.contains(name).then(|| Target::Item(module, name.to_owned())));
        targets.extend(self.through(module, name, way, |import| import.name.as_deref() == Some(name)));
        if targets.is_empty() {
            let from = self.through(module, name, way, |import| import.name.is_none());
            targets.extend(from);
        }
        targets
    }

    /// What is called this in the module by one of these imports.
    fn through(&self, module: usize, name: &str, way: &mut Way, is_one: impl Fn(&Import) -> bool) -> Targets {
        let mut found = Targets::new();
        for (number, import) in self.tree.modules[module].imports.iter().enumerate().filter(|(_, it)| is_one(it)) {
            let step = (module, number, name.to_owned());
            if way.contains(&step) {
                continue;
            }
            way.push(step);
            let targets = self.resolve(module, &import.path, way);
            if import.name.is_some() {
                found.extend(targets);
            } else {
                let modules = targets.iter().filter_map(|target| match target {
                    Target::Module(module) => Some(*module),
                    _ => None,
                });
                found.extend(modules.flat_map(|module| self.lookup(module, name, way)));
            }
            way.pop();
        }
        found
    }
}

/// A walk through the code of a module.
struct Reading<'a, 'b> {
    names: Names<'a>,
    module: usize,
    file: &'a Path,
    /// What is imported within the functions that the walk is in.
    local: Vec<Import>,
    needs: &'b mut Vec<Need<'a>>,
}

impl Reading<'_, '_> {
    /// Notes what an import needs: all that is called so.
    fn note_import(&mut self, import: &Import) {
        for target in self.names.resolve(self.module, &import.path, &mut Way::new()) {
            let own = if import.name.is_some() { "self" } else { "*" };
            match target {
                Target::Module(to) => self.note(to, own.to_owned(), import.line),
                Target::Item(to, name) => self.note(to, name, import.line),
                Target::Outside => {}
            }
        }
    }

    /// Notes what a path in the code needs: something in a module, for a module is nothing there.
    fn note_path(&mut self, path: &[String], line: usize) {
        let local = path.first().and_then(|first| self.local.iter().rev().find(|it| it.name.as_ref() == Some(first)));
        let whole = local.map_or_else(|| path.to_vec(), |import| [&import.path, &path[1..]].concat());
        for target in self.names.resolve(self.module, &whole, &mut Way::new()) {
            if let Target::Item(to, name) = target {
                self.note(to, name, line);
            }
        }
    }

    fn note(&mut self, to: usize, name: String, line: usize) {
        if to != self.module {
            self.needs.push(Need { from: self.module, to, name, file: self.file, line });
        }
    }
}

impl<'ast> Visit<'ast> for Reading<'_, '_> {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            item if is_item_for_tests(item) => {}
            Item::Use(item) => Import::all(item).iter().for_each(|import| self.note_import(import)),
            item => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_block(&mut self, block: &'ast Block) {
        let outer = self.local.len();
        let uses = block.stmts.iter().filter_map(|statement| match statement {
            Stmt::Item(Item::Use(item)) => Some(item),
            _ => None,
        });
        self.local.extend(uses.flat_map(Import::all));
        visit::visit_block(self, block);
        self.local.truncate(outer);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let root = path.leading_colon.as_ref().map(|_| String::new());
        let words: Vec<_> =
            root.into_iter().chain(path.segments.iter().map(|it| it.ident.unraw().to_string())).collect();
        self.note_path(&words, line(&path.segments[0].ident));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &'ast Macro) {
        self.visit_path(&invocation.path);
        let list = invocation.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
        list.into_iter().flatten().for_each(|expression| Visit::visit_expr(self, &expression));
    }

    /// `pub(super)` names a module and needs nothing of it.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}
