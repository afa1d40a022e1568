//! `docs/bench.schema.json`: the form of the results, for those who read them by a program. It is made of the types and what
//! is written beside them, so that it cannot tell anything else than they do.

use anyhow::{Context, Result};
use schemars::generate::SchemaSettings;

use super::results::Results;

/// Print the JSON schema of what `cargo xtask bench --format json` prints
///
/// docs/bench.schema.json is this, and a test holds the one against the other.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<()> {
    print!("{}", schema()?);
    Ok(())
}

fn schema() -> Result<String> {
    let schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Results>();
    Ok(serde_json::to_string_pretty(&schema).context("cannot write the schema as JSON")? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_the_book_is_that_of_the_types() {
        let kept = include_str!("../../../docs/bench.schema.json");
        assert!(kept == schema().unwrap(), "run `cargo xtask schema > docs/bench.schema.json`");
    }
}
