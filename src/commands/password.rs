//! Where a password comes from: the terminal without echo, standard input, or chance.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::cli::PasswordFrom;
use crate::exit::{Code, error};
use crate::limits::PASSWORD_BYTES_MAX;
use crate::users::{Secret, generate};

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const CTRL_U: u8 = 0x15;
const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;

/// A password that was given, or made.
pub struct Given {
    /// The password.
    pub password: Secret,
    /// The same, where it was made here and nobody knows it yet.
    pub generated: Option<Secret>,
}

/// Gets the password of a user as the command line asks for it.
pub fn get(from: PasswordFrom, name: &str) -> anyhow::Result<Given> {
    if from.generate {
        let made = generate()?;
        return Ok(Given { password: made.clone(), generated: Some(made) });
    }
    let password = if from.password_stdin { from_stdin()? } else { from_terminal(name)? };
    Ok(Given { password, generated: None })
}

/// The first line, without its end.
fn from_stdin() -> anyhow::Result<Secret> {
    let mut bytes = Vec::new();
    io::stdin().take(PASSWORD_BYTES_MAX as u64 + 2).read_to_end(&mut bytes)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    text(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
}

/// Asked for twice: a typing error would not be seen.
fn from_terminal(name: &str) -> anyhow::Result<Secret> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| {
        error(Code::Usage, "there is no terminal to ask for a password: give it with --password-stdin, or have one made with --generate")
    })?;
    let mut terminal = Silent::of(terminal)?;
    let first = terminal.ask(&format!("password for {name}: "))?;
    let second = terminal.ask("the same again: ")?;
    if first != second {
        return Err(error(Code::Usage, "the two are not the same; nothing was changed"));
    }
    text(first)
}

fn text(bytes: Vec<u8>) -> anyhow::Result<Secret> {
    String::from_utf8(bytes).map(Secret::new).map_err(|_| error(Code::Usage, "the password is not UTF-8"))
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Silent {
    terminal: File,
    before: Termios,
}

impl Silent {
    fn of(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        // Without signals and lines of its own: what would end this process must not leave the terminal silent.
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }

    fn ask(&mut self, prompt: &str) -> anyhow::Result<Vec<u8>> {
        self.terminal.write_all(prompt.as_bytes())?;
        let typed = read_line(&mut self.terminal);
        self.terminal.write_all(b"\n")?;
        typed?.ok_or_else(|| error(Code::Interrupted, "nothing was changed"))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// What is typed up to the end of the line; `None` where it is given up.
fn read_line(typed: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        if typed.read(&mut byte)? == 0 {
            return Ok(None);
        }
        match byte[0] {
            b'\n' | b'\r' => return Ok(Some(line)),
            CTRL_C => return Ok(None),
            CTRL_D if line.is_empty() => return Ok(None),
            CTRL_U => line.clear(),
            BACKSPACE | DELETE => {
                // A character may be several bytes.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            // One byte more than can be is kept, so that it is refused rather than cut.
            byte if line.len() <= PASSWORD_BYTES_MAX => line.push(byte),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_can_be_corrected_and_given_up() {
        let typed = |mut bytes: &[u8]| read_line(&mut bytes).unwrap().map(|line| String::from_utf8(line).unwrap());
        assert_eq!(typed(b"secret\nmore").as_deref(), Some("secret"));
        assert_eq!(typed("ab\u{e4}\u{7f}c\r".as_bytes()).as_deref(), Some("abc"));
        assert_eq!(typed(b"wrong\x15right\n").as_deref(), Some("right"));
        assert_eq!(typed(b"se\x03"), None);
        assert_eq!(typed(b"\x04"), None);
        assert_eq!(typed(b"se"), None);
    }
}
