//! What a check saw.

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could.
    Warning,
    /// It does not work.
    Failure,
}

impl Verdict {
    /// Its stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: `queue`, `bucket`, ...
    pub check: &'static str,
    /// Which one.
    pub subject: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub detail: String,
    /// What to do; empty where nothing is.
    pub help: String,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &'static str, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { check, subject: subject.into(), verdict: Verdict::Ok, detail: detail.into(), help: String::new() }
    }

    /// It could be better.
    pub fn warning(check: &'static str, subject: impl Into<String>, detail: impl Into<String>, help: impl Into<String>) -> Self {
        Self { check, subject: subject.into(), verdict: Verdict::Warning, detail: detail.into(), help: help.into() }
    }

    /// It does not work.
    pub fn failure(check: &'static str, subject: impl Into<String>, detail: impl Into<String>, help: impl Into<String>) -> Self {
        Self { check, subject: subject.into(), verdict: Verdict::Failure, detail: detail.into(), help: help.into() }
    }
}
