//! The format of exports.

use tower_api_keys::manage::ExportFormat;

use crate::{
    problem::Problem,
    query::Query,
    table::{Form, Param},
};

pub(super) const FORMAT: Param =
    Param::one("format", Form::Words(&["csv", "jsonl"]), "A table, or a line of JSON for each row. Default: `csv`.");

pub(super) fn format(query: &Query) -> Result<ExportFormat, Problem> {
    let formats = [ExportFormat::Csv, ExportFormat::JsonLines];
    let named = |word: &str| formats.into_iter().find(|format| format.extension() == word);
    Ok(query.one_with("format", named)?.unwrap_or(ExportFormat::Csv))
}
