//! `leakcheck explain`.

use std::io::Write as _;

use leakcheck::report::kind::Kind;

use crate::args::ExplainArgs;
use crate::error::Error;
use crate::outcome::Outcome;

pub(super) fn explain(args: &ExplainArgs) -> Result<Outcome, Error> {
    let code = args.code.to_ascii_uppercase();
    let Some(kind) = Kind::ALL.iter().find(|kind| kind.info().code == code) else {
        let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.info().code).collect();
        return Err(Error::UnknownCode {
            code: args.code.clone(),
            known: known.join(", "),
        });
    };
    writeln!(anstream::stdout(), "{code}: {}", kind.info().name).map_err(Error::Output)?;
    Ok(Outcome::Clean)
}
