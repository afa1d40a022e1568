//! What processes there are.

use std::fs;

/// Processes whose parent this one is, zombies included.
pub fn children_of(parent: u32) -> Vec<u32> {
    let is_child = |process: &fs::DirEntry| {
        // The name, in parentheses, may itself hold any of them; state and parent follow the last.
        let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        let told = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1)?.parse().ok());
        told == Some(parent)
    };
    let children = fs::read_dir("/proc").expect("/proc").flatten().filter(is_child);
    children.filter_map(|process| process.file_name().to_str()?.parse().ok()).collect()
}
