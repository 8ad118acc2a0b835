//! Modules that import each other in a circle, in any crate of the workspace.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use crate::sources::{self, root};

/// The names from the crate's root; the root's own is empty.
type Module = Vec<String>;

/// The modules of a crate, each with its file and the paths that it names.
type Tree = BTreeMap<Module, (String, BTreeSet<Vec<String>>)>;

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let manifests =
        |folder| sources::files(&root().join(folder)).into_iter().filter(|path| path.ends_with("Cargo.toml"));
    let crates = manifests("crates").chain(manifests("xtask")).map(|path| path.parent().unwrap().join("src"));
    let found: Vec<String> = crates.flat_map(|folder| circles(&folder)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_circle_is_named_with_its_files() {
    let crate_with = |there: &str, back: &str| {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| fs::write(folder.path().join(path), text).unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        write("main.rs", "mod a;\nmod b;\nmod c { pub struct C; }\nuse a::A;");
        write("a.rs", "mod x;\npub struct A;");
        write("a/x.rs", there);
        write("b.rs", back);
        circles(folder.path())
    };
    for (there, back) in [
        ("use crate::{b::B, c::C};", "fn f() { format!(\"{}\", crate::a::A) }"),
        ("use super::super::b;", "pub mod inner { use super::super::{a::A as Other}; }"),
    ] {
        let found = crate_with(there, back);
        assert!(found.len() == 1 && found[0].contains("a -> b -> a"), "{found:?}");
        assert!(["a/x.rs", "b.rs"].iter().all(|file| found[0].contains(file)), "{found:?}");
    }
    for (there, back) in [
        ("use super::A;", "use crate::a::A;"),
        ("use crate::b::B;", "#[cfg(test)]\nmod tests { use crate::a::A; }"),
        ("use std::{fs, io}; // crate::b", "use crate::a::A; pub(crate) const B: &str = \"crate::c\";"),
    ] {
        assert_eq!(crate_with(there, back), <[String; 0]>::default(), "{there} {back}");
    }
}

/// A circle for each module that is in one, shortest first; none is reported twice.
fn circles(folder: &Path) -> Vec<String> {
    let mut tree = Tree::new();
    for main in ["lib.rs", "main.rs"].map(|name| folder.join(name)).into_iter().filter(|path| path.exists()) {
        let text = fs::read_to_string(&main).unwrap();
        read(&sources::tokens(&text), &Vec::new(), &main, folder, &mut tree);
    }
    // What siblings import of each other, with the files that do.
    let mut edges = BTreeMap::<Module, BTreeMap<Module, BTreeSet<&str>>>::new();
    for (module, (file, paths)) in &tree {
        for path in paths {
            let shared = module.iter().zip(path).take_while(|(own, other)| own == other).count();
            let sibling = path.get(..=shared).filter(|sibling| tree.contains_key(*sibling));
            if let (Some(own), Some(sibling)) = (module.get(..=shared), sibling) {
                let between = edges.entry(own.to_vec()).or_default().entry(sibling.to_vec()).or_default();
                between.insert(file);
            }
        }
    }
    let mut circles: Vec<Vec<&Module>> = edges.keys().filter_map(|module| back_to(module, &edges)).collect();
    circles.sort_by_key(Vec::len);
    let mut reported = BTreeSet::new();
    circles.retain(|circle| {
        let known = reported.len();
        reported.extend(circle.iter().copied());
        reported.len() > known
    });
    let step = |pair: &[&Module]| {
        let files = edges[pair[0]][pair[1]].iter().copied().collect::<Vec<_>>().join(", ");
        format!("    {} imports {} in {files}", pair[0].join("::"), pair[1].join("::"))
    };
    let show = |circle: &Vec<&Module>| {
        let names: Vec<String> = circle.iter().map(|module| module.join("::")).collect();
        let steps: Vec<String> = circle.windows(2).map(step).collect();
        format!("{}: {}\n{}", folder.display(), names.join(" -> "), steps.join("\n"))
    };
    circles.iter().map(show).collect()
}

/// The shortest way from a module over its siblings back to it.
fn back_to<'a>(
    start: &'a Module,
    edges: &'a BTreeMap<Module, BTreeMap<Module, BTreeSet<&str>>>,
) -> Option<Vec<&'a Module>> {
    let (mut ways, mut seen) = (VecDeque::from([vec![start]]), BTreeSet::new());
    while let Some(way) = ways.pop_front() {
        for next in edges.get(*way.last()?).into_iter().flat_map(BTreeMap::keys) {
            let longer = [&way[..], &[next]].concat();
            if next == start {
                return Some(longer);
            }
            if seen.insert(next) {
                ways.push_back(longer);
            }
        }
    }
    None
}

/// Reads a module and those below it; `folder` is where their files are.
fn read(tokens: &[&str], module: &Module, file: &Path, folder: &Path, tree: &mut Tree) {
    let shown = file.strip_prefix(root()).unwrap_or(file).to_str().unwrap();
    tree.insert(module.clone(), (shown.to_owned(), BTreeSet::new()));
    let mut rest = tokens;
    while let [word, after @ ..] = rest {
        rest = after;
        let start = match (*word, after) {
            ("mod", [name, end, body @ ..]) => {
                let (child, below) = ([&module[..], &[(*name).to_owned()]].concat(), folder.join(name));
                if *end == "{" {
                    let body = &body[..closing(body)];
                    read(body, &child, file, &below, tree);
                    rest = &after[2 + body.len()..];
                } else {
                    let places = [folder.join(format!("{name}.rs")), below.join("mod.rs")];
                    let place = places.iter().find(|path| path.exists());
                    let place = place.unwrap_or_else(|| panic!("{shown}: no file of module {name}"));
                    read(&sources::tokens(&fs::read_to_string(place).unwrap()), &child, place, &below, tree);
                }
                continue;
            }
            ("crate", _) => &[],
            ("self", _) => &module[..],
            ("super", _) => parent(module),
            _ => continue,
        };
        follow(after, start, &mut tree.get_mut(module).unwrap().1);
    }
}

/// Notes the paths that go on from `start`: `::a::b`, `::super::a` or `::{a, b::c}`.
fn follow(tokens: &[&str], start: &[String], paths: &mut BTreeSet<Vec<String>>) {
    match tokens {
        ["::", "super", after @ ..] => follow(after, parent(start), paths),
        ["::", "{", tree @ ..] => {
            let (mut tree, mut depth) = (&tree[..closing(tree)], 0);
            while !tree.is_empty() {
                // As if the branch stood after the colons.
                follow(&[&["::"], tree].concat(), start, paths);
                let is_end = |token: &&str| {
                    depth += i32::from(*token == "{") - i32::from(*token == "}");
                    depth == 0 && *token == ","
                };
                let end = tree.iter().position(is_end);
                tree = &tree[end.map_or(tree.len(), |end| end + 1)..];
            }
        }
        ["::", name, after @ ..] if name.starts_with(char::is_alphabetic) && *name != "self" => {
            follow(after, &[start, &[(*name).to_owned()]].concat(), paths);
        }
        _ => drop(paths.insert(start.to_vec())),
    }
}

/// Where the bracket is closed after which these tokens come.
fn closing(tokens: &[&str]) -> usize {
    let mut depth = 1;
    let is_end = |token: &&str| {
        depth += i32::from(*token == "{") - i32::from(*token == "}");
        depth == 0
    };
    tokens.iter().position(is_end).unwrap_or(tokens.len())
}

fn parent(module: &[String]) -> &[String] {
    &module[..module.len().saturating_sub(1)]
}
