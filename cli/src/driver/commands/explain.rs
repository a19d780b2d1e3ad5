//! `leakcheck explain`.

use std::io::Write as _;

use leakcheck::report::kind::Kind;

use crate::args::ExplainArgs;
use crate::error::Error;
use crate::outcome::Outcome;

pub(super) fn explain(args: &ExplainArgs) -> Result<Outcome, Error> {
    let Some(text) = crate::explain::explain(&args.code) else {
        let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.info().code).collect();
        return Err(Error::UnknownCode {
            code: args.code.clone(),
            known: known.join(", "),
        });
    };
    writeln!(anstream::stdout(), "{}", text.trim_end()).map_err(Error::Output)?;
    Ok(Outcome::Clean)
}
