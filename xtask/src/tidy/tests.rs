//! What each rule finds, and what it lets pass, in small crates.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::modules::Tree;
use super::{check_heads, check_modules, check_siblings, crates, cycles, has_head, names};

fn tree(files: &[(&str, &str)]) -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    tree
}

/// What is wrong with the modules of a library of these files.
fn complaints(files: &[(&str, &str)]) -> Vec<String> {
    let directory = tree(files);
    let tree = Tree::read(directory.path(), Path::new("lib.rs")).unwrap();
    cycles::complaints(&tree, &names::needs(&tree))
}

/// All that the modules of a library of these files need of one another.
fn needs(files: &[(&str, &str)]) -> Vec<String> {
    let directory = tree(files);
    let tree = Tree::read(directory.path(), Path::new("lib.rs")).unwrap();
    let path = |module: usize| tree.modules[module].path.as_str();
    let needs = names::needs(&tree);
    needs.iter().map(|need| format!("{} -> {}: {}", path(need.from), path(need.to), need.name)).collect()
}

/// What a module `a` of this text needs, beside which there are `b`, with a child, and `c`, all exported by the root.
fn needs_of(text: &str) -> Vec<String> {
    let all = needs(&[
        ("lib.rs", "mod a; mod b; mod c; pub use b::{B, Kind}; pub use c::C as Sea; use std::sync::Arc; struct Root;"),
        ("a.rs", text),
        ("b.rs", "mod inner; pub use inner::{Inner, function}; pub struct B; pub enum Kind { One }"),
        ("b/inner.rs", "pub struct Inner; pub fn function() {}"),
        ("c.rs", "pub struct C; pub fn c() {} generate!(Generated);"),
    ]);
    all.iter().filter_map(|need| need.strip_prefix("a -> ")).map(str::to_owned).collect()
}

#[test]
fn two_modules_that_import_each_other_are_found_with_file_line_and_name() {
    let all = complaints(&[
        ("lib.rs", "mod a;\nmod b;\nmod c;\n"),
        ("a.rs", "//! A.\n\nuse crate::b::{\n    self,\n    B,\n};\npub struct A(B);\n"),
        ("b/mod.rs", "use super::a::A;\nuse crate::c::C;\npub struct B;\n"),
        ("c.rs", "pub struct C;\n"),
    ]);
    let expected = [
        "lib.rs: 2 modules need one another: a, b",
        "  a.rs:4: a needs b for self, B",
        "  b/mod.rs:1: b needs a for A",
    ];
    assert_eq!(all, expected);
}

#[test]
fn a_child_may_not_import_what_its_facade_defines_itself() {
    let facade = "mod child; pub use child::Child; pub struct Parent;";
    let all = complaints(&[("lib.rs", facade), ("child.rs", "use super::Parent; pub struct Child(Parent);")]);
    assert_eq!(all[0], "lib.rs: 2 modules need one another: crate, child");
    // One that is no facade for it may: it only declares it.
    let all = complaints(&[("lib.rs", "mod child; pub struct Parent;"), ("child.rs", "use super::Parent;")]);
    assert_eq!(all, [""; 0]);
}

#[test]
fn each_circle_is_told_apart() {
    let all = complaints(&[
        ("lib.rs", "mod a; mod b; mod c; mod d; mod e;"),
        ("a.rs", "use crate::b;"),
        ("b.rs", "use crate::{a, c};"),
        ("c.rs", "use crate::d;"),
        ("d.rs", "use crate::e;"),
        ("e.rs", "use crate::c;"),
    ]);
    let heads: Vec<_> = all.iter().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(heads, ["lib.rs: 2 modules need one another: a, b", "lib.rs: 3 modules need one another: c, d, e"]);
}

#[test]
fn a_re_export_leads_to_who_defines_it() {
    let siblings = [
        ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
        ("a.rs", "use crate::B; pub struct A(B);"),
        ("b.rs", "pub struct B;"),
    ];
    assert_eq!(complaints(&siblings), [""; 0]);
    assert_eq!(needs(&siblings), ["crate -> a: A", "crate -> b: B", "a -> b: B", "a -> b: B"]);

    assert_eq!(needs_of("use super::Kind;"), ["b: Kind"]);
    assert_eq!(needs_of("pub(super) use crate::Sea as Ocean;"), ["c: C"]);
    assert_eq!(needs_of("use crate::b::Inner;"), ["b::inner: Inner"]);
    assert_eq!(needs_of("use super::Root;"), ["crate: Root"]);
    assert_eq!(needs_of("use super::Arc;"), [""; 0]);
    assert_eq!(needs_of("use crate::c::Generated;"), ["c: Generated"]);
}

#[test]
fn modules_and_all_of_them_can_be_imported() {
    assert_eq!(needs_of("use crate::b;"), ["b: self"]);
    assert_eq!(needs_of("use super::{c::{self as sea}, b::inner::{self}};"), ["c: self", "b::inner: self"]);
    // What is meant by a name that `*` brings is known.
    assert_eq!(needs_of("use crate::b::*; fn f(_: Inner) {}"), ["b: *", "b::inner: Inner"]);
    assert_eq!(needs_of("use crate::Kind::*;"), ["b: Kind"]);
    assert_eq!(needs_of("use std::*; use ::c::C;"), [""; 0]);
}

#[test]
fn paths_in_the_code_count() {
    assert_eq!(needs_of("fn f() { crate::b::function() }"), ["b::inner: function"]);
    assert_eq!(needs_of("impl From<super::c::C> for A {}"), ["c: C"]);
    assert_eq!(
        needs_of("use crate::b; fn f() { b::function(); b::Kind::One; }"),
        ["b: self", "b::inner: function", "b: Kind"]
    );
    assert_eq!(needs_of("fn f() { use crate::b as bee; bee::function() }"), ["b: self", "b::inner: function"]);
    assert_eq!(needs_of("fn f() { println!(\"{}\", crate::c::c()) }"), ["c: c"]);
    assert_eq!(needs_of("mod d { fn f() { super::super::c::c() } } struct B; fn f(b: B) { b; d::f() }"), ["a::d: f"]);
    // Words that are no paths to anything, and visibilities.
    assert_eq!(needs_of("pub(in crate::b) struct A; fn f(c: u8) { c; std::c::c(); ::c::c() }"), [""; 0]);
}

#[test]
fn what_is_for_tests_is_ignored() {
    for text in [
        "#[cfg(test)] mod tests { use crate::b::B; }",
        "#[cfg(test)] mod there_is_no_file;",
        "#[cfg(test)] use crate::b::B;",
        "#[cfg(all(test, unix))] fn f() { crate::c::c() }",
        "struct A; impl A { #[cfg(test)] fn f() { crate::c::c() } }",
        "fn f() { #[cfg(test)] use crate::b::B; }",
    ] {
        assert_eq!(needs_of(text), [""; 0], "{text}");
    }
    assert_eq!(needs_of("#[cfg(any(test, unix))] use crate::b::B;"), ["b: B"]);
    assert_eq!(needs_of("#[cfg(not(test))] use crate::b::B;"), ["b: B"]);
}

#[test]
fn modules_are_found_where_their_files_are() {
    let all = needs(&[
        (
            "lib.rs",
            "mod b; mod c { mod d; } #[path = \"else/where.rs\"] mod e; mod r#type;\n#[cfg_attr(windows, path = \"win.rs\")] mod f;",
        ),
        ("b.rs", "use crate::c::d::x; use crate::r#type::T;"),
        ("c/d.rs", "use crate::e::x;"),
        ("else/where.rs", "mod g; use crate::b::x;"),
        ("else/g.rs", "use super::super::b::x;"),
        ("type.rs", "use crate::b::x;"),
        ("win.rs", "use crate::b::x;"),
        ("f.rs", "use crate::e::x;"),
    ]);
    let expected = [
        "b -> c::d: x",
        "b -> type: T",
        "c::d -> e: x",
        "e -> b: x",
        "e::g -> b: x",
        "type -> b: x",
        "f -> b: x",
        "f -> e: x",
    ];
    assert_eq!(all, expected);

    let directory = tree(&[("lib.rs", "\nmod a;")]);
    let error = Tree::read(directory.path(), Path::new("lib.rs")).err().unwrap();
    assert_eq!(error.to_string(), "lib.rs:2: there is no file for mod a");
}

#[test]
fn each_crate_is_looked_at_and_a_program_beside_its_library() {
    let circle = "mod a { use crate::b::B; } mod b { use crate::a::A; }";
    let tree =
        tree(&[("crates/one/src/lib.rs", circle), ("crates/two/src/lib.rs", ""), ("crates/two/src/main.rs", circle)]);
    let found = check_modules(tree.path(), &crates(tree.path()).unwrap()).unwrap();
    let heads: Vec<_> =
        found.complaints.iter().filter_map(|line| line.split_once(": 2 modules")).map(|(file, _)| file).collect();
    assert_eq!(heads, ["crates/one/src/lib.rs", "crates/two/src/main.rs"]);
    assert_eq!(found.praise, "modules: no import cycle in 2 crates");
}

#[test]
fn each_file_has_a_head() {
    for (text, expected) in [
        ("//! A.\n", true),
        ("#!/usr/bin/env rust\n//! A.\n", true),
        ("", false),
        ("// A.\n//! B.\n", false),
        ("\n//! A.\n", false),
        ("#![forbid(unsafe_code)]\n//! A.\n", false),
    ] {
        assert_eq!(has_head(text), expected, "{text}");
    }
    let tree = tree(&[
        ("crates/one/src/lib.rs", "//! A."),
        ("crates/one/src/a/b.rs", "use std::fs;"),
        ("crates/one/examples/c.rs", "fn main() {}"),
        ("crates/one/tests/data.txt", ""),
        ("xtask/src/main.rs", "mod d;"),
    ]);
    let found = check_heads(tree.path(), &crates(tree.path()).unwrap()).unwrap();
    let files: Vec<_> =
        found.complaints.iter().filter_map(|line| line.split_once(":1: ")).map(|(file, _)| file).collect();
    assert_eq!(files, ["crates/one/src/a/b.rs", "crates/one/examples/c.rs", "xtask/src/main.rs"]);
    assert_eq!(found.praise, "heads: 4 files say what they are");
}

#[test]
fn a_strategy_crate_depends_on_a_sibling_for_its_tests_alone() {
    let fine = "[dependencies]\npolyread-core.workspace = true\n[dev-dependencies]\npolyread-rayon.workspace = true\n";
    let renamed = "[target.'cfg(unix)'.dependencies]\nother = { package = \"polyread-hybrid\", version = \"1\" }\n";
    let tree = tree(&[
        ("crates/rayon/Cargo.toml", "[dependencies]\npolyread-tokio.workspace = true\npolyread-rayon = \"1\"\n"),
        ("crates/tokio/Cargo.toml", fine),
        ("crates/async-std/Cargo.toml", renamed),
        ("crates/multiprocess/Cargo.toml", ""),
        ("crates/io-uring/Cargo.toml", ""),
    ]);
    let expected = [
        "crates/rayon/Cargo.toml: depends on its sibling polyread-tokio",
        "crates/async-std/Cargo.toml: depends on its sibling polyread-hybrid",
    ];
    assert_eq!(check_siblings(tree.path()).unwrap().complaints, expected);
}
