//! Asks a person for a password at the terminal, without showing it.
//!
//! Letter by letter, so that Ctrl-C leaves the terminal as it was found.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

/// Nobody types more.
const BYTES_MAX: usize = 1024;

const INTERRUPT: u8 = 3;
const END: u8 = 4;
const BACKSPACES: [u8; 2] = [8, 127];

struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn begin(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
        tcsetattr(&terminal, SetArg::TCSAFLUSH, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Nothing is left to do where the terminal is gone.
        let _ = tcsetattr(&self.terminal, SetArg::TCSAFLUSH, &self.before);
        let _ = self.terminal.write_all(b"\n");
    }
}

/// What was typed, up to Enter.
///
/// # Errors
/// There is no terminal, or the person gave up.
pub fn ask(question: &str) -> io::Result<String> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let mut quiet = Quiet::begin(terminal)?;
    quiet.terminal.write_all(question.as_bytes())?;
    read_line(&mut quiet.terminal)
}

fn read_line(from: &mut impl Read) -> io::Result<String> {
    let mut typed = Vec::new();
    let mut letter = [0];
    loop {
        if from.read(&mut letter)? == 0 {
            break;
        }
        match letter[0] {
            b'\n' | b'\r' | END => break,
            INTERRUPT => return Err(io::Error::new(io::ErrorKind::Interrupted, "given up")),
            byte if BACKSPACES.contains(&byte) => {
                // The last letter with all its bytes.
                while typed.pop().is_some_and(|byte: u8| byte & 0xc0 == 0x80) {}
            }
            byte if typed.len() < BYTES_MAX => typed.push(byte),
            _ => {}
        }
    }
    String::from_utf8(typed).map_err(|_| io::Error::other("what was typed is no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_can_be_taken_back_and_the_person_can_give_up() {
        let typed = |bytes: &[u8]| read_line(&mut &bytes[..]);
        assert_eq!(typed(b"secret\nrest").unwrap(), "secret");
        assert_eq!(typed("aé\u{7f}b\r".as_bytes()).unwrap(), "ab");
        assert_eq!(typed(b"\x7f\x7fa").unwrap(), "a");
        assert!(typed(b"abc\x03").is_err());
    }
}
