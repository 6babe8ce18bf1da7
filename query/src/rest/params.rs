//! What a request asks for.

use cloudigrade_schemas::UtcSecond;
use warp::http::StatusCode;

use super::answer::Failure;
use crate::error::QueryError;
use crate::format::Format;
use crate::period::Period;
use crate::report::{ReportKind, ReportRequest};

/// The names of the parameters.
const NAMES: [&str; 6] = ["start", "end", "granularity", "tz", "by", "format"];

/// A request's parameters, each given at most once.
#[derive(Debug, Default)]
pub struct Params {
    start: Option<String>,
    end: Option<String>,
    granularity: Option<String>,
    tz: Option<String>,
    by: Option<String>,
    format: Option<String>,
    accepts_csv: bool,
}

impl Params {
    /// Reads a query string's pairs.
    pub fn read(pairs: Vec<(String, String)>, accept: Option<&str>) -> Result<Self, Failure> {
        let mut params = Self { accepts_csv: accept.is_some_and(|accept| accept.contains("text/csv")), ..Self::default() };
        for (name, value) in pairs {
            let field = match name.as_str() {
                "start" => &mut params.start,
                "end" => &mut params.end,
                "granularity" => &mut params.granularity,
                "tz" => &mut params.tz,
                "by" => &mut params.by,
                "format" => &mut params.format,
                _ => return Err(bad(format!("there is no parameter {name:?}; there are {}", NAMES.join(", ")))),
            };
            if field.replace(value).is_some() {
                return Err(bad(format!("parameter {name:?} is given twice")));
            }
        }
        Ok(params)
    }

    /// The report that is asked for.
    pub fn request(self, kind: ReportKind, now: UtcSecond) -> Result<(ReportRequest, Format), Failure> {
        let required = |value: Option<String>, name: &str| value.ok_or_else(|| bad(format!("parameter {name:?} is missing")));
        let format = match self.format.as_deref() {
            None if self.accepts_csv => Format::Csv,
            None | Some("json") => Format::Json,
            Some("csv") => Format::Csv,
            Some(other) => return Err(bad(format!("there is no format {other:?}; it is json or csv"))),
        };
        let granularity = self.granularity.as_deref().unwrap_or("day").parse().map_err(QueryError::Period)?;
        let (start, end) = (required(self.start, "start")?, required(self.end, "end")?);
        let period = Period::new(&start, &end, granularity, self.tz.as_deref().unwrap_or("UTC"), now).map_err(QueryError::Period)?;
        let by = self.by.as_deref().unwrap_or_default().split(',').filter(|name| !name.is_empty());
        let by = by.map(str::parse).collect::<Result<_, QueryError>>()?;
        Ok((ReportRequest::new(kind, period, by), format))
    }
}

fn bad(message: String) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "bad_parameter", message)
}
