//! The modules of a crate, as its files declare them: which are inside of which, what each defines, and what it imports.
//!
//! A module counts on whichever system it is compiled, and one that is in another file on another system has both. What is
//! for tests alone is not here: it may import what it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Expr, ExprLit, Ident, Item, ItemConst, ItemEnum, ItemFn, ItemForeignMod, ItemImpl, ItemMacro, ItemMod,
    ItemStatic, ItemStruct, ItemTrait, ItemTraitAlias, ItemType, ItemUnion, ItemUse, Lit, Meta, Token, UseTree,
};

/// A crate. The first module is its root.
pub(super) struct Tree {
    /// The root's file, relative to the repository.
    pub(super) file: PathBuf,
    pub(super) modules: Vec<Module>,
}

#[derive(Default)]
pub(super) struct Module {
    /// From the root, `scan::read`; the root itself is `crate`.
    pub(super) path: String,
    pub(super) parent: Option<usize>,
    pub(super) children: BTreeMap<String, usize>,
    /// What is defined here, by name.
    pub(super) items: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    /// Its text, by the file that it is in.
    pub(super) sources: Vec<(PathBuf, Vec<Item>)>,
}

/// One name that a `use` brings.
#[derive(Clone, Debug)]
pub(super) struct Import {
    /// As written, from its first word; that is empty where it is written with a leading `::`.
    pub(super) path: Vec<String>,
    /// What it is called here; `None` where it is all that there is.
    pub(super) name: Option<String>,
    pub(super) line: usize,
}

impl Import {
    /// All that one `use` brings.
    pub(super) fn all(item: &ItemUse) -> Vec<Self> {
        let mut imports = Vec::new();
        let start = if item.leading_colon.is_some() { vec![String::new()] } else { Vec::new() };
        Self::collect(&item.tree, &start, &mut imports);
        imports
    }

    fn collect(tree: &UseTree, before: &[String], imports: &mut Vec<Self>) {
        let mut push = |ident: &Ident, name: Option<&Ident>| {
            let mut path = before.to_vec();
            // `self` in braces is what stands before them.
            if ident != "self" || path.is_empty() {
                path.push(ident.unraw().to_string());
            }
            let name = name.map(|name| name.unraw().to_string()).or_else(|| path.last().cloned());
            imports.push(Self { path, name, line: line(ident) });
        };
        match tree {
            UseTree::Name(tree) => push(&tree.ident, None),
            UseTree::Rename(tree) => push(&tree.ident, Some(&tree.rename)),
            UseTree::Glob(tree) => {
                let line = tree.star_token.spans[0].start().line;
                imports.push(Self { path: before.to_vec(), name: None, line });
            }
            UseTree::Path(tree) => {
                let path = [before, &[tree.ident.unraw().to_string()]].concat();
                Self::collect(&tree.tree, &path, imports);
            }
            UseTree::Group(tree) => tree.items.iter().for_each(|tree| Self::collect(tree, before, imports)),
        }
    }
}

/// The line that a word is in.
pub(super) fn line(ident: &Ident) -> usize {
    ident.span().start().line
}

/// Where the files of a module's children are looked for.
struct Place {
    file: PathBuf,
    /// What a `#[path]` is relative to.
    base: PathBuf,
    children: PathBuf,
}

impl Tree {
    /// The crate whose root is this file, relative to the repository.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or is not Rust; a module has no file.
    pub(super) fn read(repository: &Path, file: &Path) -> Result<Self> {
        let root = Module { path: "crate".to_owned(), ..Module::default() };
        let mut tree = Self { file: file.to_path_buf(), modules: vec![root] };
        tree.load(repository, 0, file, true)?;
        Ok(tree)
    }

    /// Adds what is in the file to the module. The children of one that `is_directory` are beside it.
    fn load(&mut self, repository: &Path, module: usize, file: &Path, is_directory: bool) -> Result<()> {
        let text = fs::read_to_string(repository.join(file)).with_context(|| file.display().to_string())?;
        let parsed = syn::parse_file(&text).with_context(|| format!("{} is not Rust", file.display()))?;
        if is_for_tests(&parsed.attrs) {
            return Ok(());
        }
        let base = file.parent().unwrap_or(Path::new("")).to_path_buf();
        let children = if is_directory { base.clone() } else { file.with_extension("") };
        self.add(repository, module, &Place { file: file.to_path_buf(), base, children }, parsed.items)
    }

    fn add(&mut self, repository: &Path, module: usize, place: &Place, items: Vec<Item>) -> Result<()> {
        let mut own = Vec::new();
        for item in items {
            let (attributes, name) = head(&item);
            if is_for_tests(attributes) {
                continue;
            }
            self.modules[module].items.extend(name.map(|name| name.unraw().to_string()));
            match item {
                Item::Mod(item) => self.descend(repository, module, place, item)?,
                Item::Use(item) => {
                    self.modules[module].imports.extend(Import::all(&item));
                    own.push(Item::Use(item));
                }
                item => own.push(item),
            }
        }
        self.modules[module].sources.push((place.file.clone(), own));
        Ok(())
    }

    fn descend(&mut self, repository: &Path, parent: usize, place: &Place, item: ItemMod) -> Result<()> {
        let name = item.ident.unraw().to_string();
        let child = self.child(parent, &name);
        if let Some((_, items)) = item.content {
            let inside = place.children.join(&name);
            let place = Place { file: place.file.clone(), base: inside.clone(), children: inside };
            return self.add(repository, child, &place, items);
        }
        let plain = [(format!("{name}.rs"), false), (format!("{name}/mod.rs"), true)];
        let plain = plain.map(|(file, is_directory)| (place.children.join(file), is_directory));
        let named = paths(&item.attrs).map(|file| (place.base.join(file), true));
        let mut files: Vec<_> = named.chain(plain).filter(|(file, _)| repository.join(file).is_file()).collect();
        // Another file for some systems leaves that of the others; another for all does not.
        if item.attrs.iter().any(|attribute| attribute.path().is_ident("path")) {
            files.truncate(1);
        }
        ensure!(!files.is_empty(), "{}:{}: there is no file for mod {name}", place.file.display(), line(&item.ident));
        files.iter().try_for_each(|(file, is_directory)| self.load(repository, child, file, *is_directory))
    }

    /// The child of this name, which may be there already: declared once more for another system.
    fn child(&mut self, parent: usize, name: &str) -> usize {
        if let Some(child) = self.modules[parent].children.get(name) {
            return *child;
        }
        let path = if parent == 0 { name.to_owned() } else { format!("{}::{name}", self.modules[parent].path) };
        self.modules.push(Module { path, parent: Some(parent), ..Module::default() });
        let child = self.modules.len() - 1;
        self.modules[parent].children.insert(name.to_owned(), child);
        child
    }
}

/// The attributes of an item, and the name that it defines.
fn head(item: &Item) -> (&[Attribute], Option<&Ident>) {
    match item {
        Item::Const(ItemConst { attrs, ident, .. })
        | Item::Enum(ItemEnum { attrs, ident, .. })
        | Item::Static(ItemStatic { attrs, ident, .. })
        | Item::Struct(ItemStruct { attrs, ident, .. })
        | Item::Trait(ItemTrait { attrs, ident, .. })
        | Item::TraitAlias(ItemTraitAlias { attrs, ident, .. })
        | Item::Type(ItemType { attrs, ident, .. })
        | Item::Union(ItemUnion { attrs, ident, .. }) => (attrs, Some(ident)),
        Item::Fn(ItemFn { attrs, sig, .. }) => (attrs, Some(&sig.ident)),
        Item::Macro(ItemMacro { attrs, ident, .. }) => (attrs, ident.as_ref()),
        // A module is among the children.
        Item::ForeignMod(ItemForeignMod { attrs, .. })
        | Item::Impl(ItemImpl { attrs, .. })
        | Item::Mod(ItemMod { attrs, .. })
        | Item::Use(ItemUse { attrs, .. }) => (attrs, None),
        _ => (&[], None),
    }
}

/// Whether the item is only there.
pub(super) fn is_item_for_tests(item: &Item) -> bool {
    is_for_tests(head(item).0)
}

/// Whether a `#[cfg]` leaves this to tests.
pub(super) fn is_for_tests(attributes: &[Attribute]) -> bool {
    let mut cfgs = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    cfgs.any(|cfg| cfg.parse_args().is_ok_and(|condition| needs_test(&condition)))
}

fn needs_test(condition: &Meta) -> bool {
    let Meta::List(list) = condition else { return condition.path().is_ident("test") };
    let Ok(parts) = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) else { return false };
    (list.path.is_ident("all") && parts.iter().any(needs_test))
        || (list.path.is_ident("any") && parts.iter().all(needs_test))
}

/// The values of `#[path = "…"]`, of those in a `#[cfg_attr]` too.
fn paths(attributes: &[Attribute]) -> impl Iterator<Item = String> {
    attributes.iter().flat_map(|attribute| {
        if !attribute.path().is_ident("cfg_attr") {
            return path(&attribute.meta).into_iter().collect();
        }
        let parts = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
        // After the condition.
        parts.iter().flatten().skip(1).filter_map(path).collect::<Vec<_>>()
    })
}

fn path(meta: &Meta) -> Option<String> {
    match meta {
        Meta::NameValue(meta) if meta.path.is_ident("path") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(value), .. }) => Some(value.value()),
            _ => None,
        },
        _ => None,
    }
}
