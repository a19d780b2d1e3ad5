//! `leakcheck show-env`.

use std::ffi::OsStr;
use std::io::Write as _;

use crate::args::ShowEnvArgs;
use crate::error::Error;
use crate::outcome::Outcome;

pub(super) fn show_env(args: &ShowEnvArgs) -> Result<Outcome, Error> {
    let plan = super::plan(&args.build)?;
    let environment = plan.shell_environment()?;
    let mut stdout = std::io::stdout().lock();
    for (name, value) in environment.iter() {
        if plan.user.get(&name.to_string_lossy()) == Some(value) {
            continue;
        }
        let mut line = Vec::new();
        if args.sh {
            line.extend_from_slice(b"export ");
        }
        line.extend_from_slice(name.as_encoded_bytes());
        line.push(b'=');
        if args.sh {
            line.extend(quoted(value));
        } else {
            line.extend_from_slice(value.as_encoded_bytes());
        }
        line.push(b'\n');
        stdout.write_all(&line).map_err(Error::Output)?;
    }
    Ok(Outcome::Clean)
}

/// In single quotes, for a POSIX shell.
fn quoted(value: &OsStr) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in value.as_encoded_bytes() {
        match byte {
            b'\'' => quoted.extend_from_slice(br"'\''"),
            other => quoted.push(*other),
        }
    }
    quoted.push(b'\'');
    quoted
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::quoted;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for value in [
            "plain",
            "",
            "two words",
            "it's",
            "$HOME `x` \"y\" \\",
            "a\nb",
        ] {
            let script = format!(
                "printf %s {}",
                String::from_utf8(quoted(OsStr::new(value))).unwrap()
            );
            let output = std::process::Command::new("sh")
                .args(["-c", &script])
                .output()
                .unwrap();
            assert_eq!(output.stdout, value.as_bytes(), "{script}");
        }
    }
}
