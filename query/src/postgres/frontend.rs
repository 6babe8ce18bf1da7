//! What clients send, read from its bytes. Nothing here trusts a length or a count that a client tells.

use bytes::{Buf, Bytes};

/// The codes that stand in the place of a protocol version.
const CANCEL_CODE: u32 = 80_877_102;
const TLS_CODE: u32 = 80_877_103;
const GSS_CODE: u32 = 80_877_104;

/// The protocol version that is spoken: 3.0.
pub(super) const MAJOR: u16 = 3;

/// Bytes that are no message of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message does not read: {0}")]
pub(super) struct Malformed(pub(super) &'static str);

/// How a connection begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// May we use TLS?
    Tls,
    /// May we use GSSAPI?
    Gss,
    /// End what another connection is doing.
    Cancel { pid: i32, key: i32 },
    /// Let me in.
    Startup { major: u16, minor: u16, parameters: Vec<(String, String)> },
}

/// What a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Statement,
    Portal,
}

/// A message of a client that is let in, or is about to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frontend {
    Password(String),
    Query(String),
    Parse {
        name: String,
        sql: String,
        types: Vec<u32>,
    },
    Bind(Bind),
    Describe(Named, String),
    Execute {
        portal: String,
        rows_max: usize,
    },
    Close(Named, String),
    Sync,
    Flush,
    Terminate,
    /// Of a COPY from the client, which is never begun.
    Copy,
}

/// Values for a statement's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bind {
    pub(super) portal: String,
    pub(super) statement: String,
    /// Of the values: none, one for all, or one each; 0 is text, 1 binary.
    pub(super) formats: Vec<i16>,
    pub(super) values: Vec<Option<Bytes>>,
    /// Of the columns of the result, likewise.
    pub(super) result_formats: Vec<i16>,
}

/// Reads how a connection begins, without the length before it.
pub(super) fn opening(body: Bytes) -> Result<Opening, Malformed> {
    let mut reader = Reader(body);
    let code = reader.u32()?;
    match code {
        TLS_CODE => Ok(Opening::Tls),
        GSS_CODE => Ok(Opening::Gss),
        CANCEL_CODE => Ok(Opening::Cancel { pid: reader.i32()?, key: reader.i32()? }),
        _ => {
            let (major, minor) = ((code >> 16) as u16, (code & 0xffff) as u16);
            let mut parameters = Vec::new();
            if major == MAJOR {
                loop {
                    let name = reader.text()?;
                    if name.is_empty() {
                        break;
                    }
                    parameters.push((name, reader.text()?));
                }
            }
            Ok(Opening::Startup { major, minor, parameters })
        }
    }
}

/// Reads a message of a kind.
pub(super) fn message(kind: u8, body: Bytes) -> Result<Frontend, Malformed> {
    let mut reader = Reader(body);
    let message = match kind {
        b'p' => Frontend::Password(reader.text()?),
        b'Q' => Frontend::Query(reader.text()?),
        b'P' => {
            let (name, sql) = (reader.text()?, reader.text()?);
            let count = reader.count(4)?;
            Frontend::Parse { name, sql, types: (0..count).map(|_| reader.u32()).collect::<Result<_, _>>()? }
        }
        b'B' => Frontend::Bind(Bind {
            portal: reader.text()?,
            statement: reader.text()?,
            formats: reader.formats()?,
            values: {
                let count = reader.count(4)?;
                (0..count).map(|_| reader.value()).collect::<Result<_, _>>()?
            },
            result_formats: reader.formats()?,
        }),
        b'D' => Frontend::Describe(reader.named()?, reader.text()?),
        b'C' => Frontend::Close(reader.named()?, reader.text()?),
        b'E' => Frontend::Execute { portal: reader.text()?, rows_max: usize::try_from(reader.i32()?).unwrap_or(0) },
        b'S' => Frontend::Sync,
        b'H' => Frontend::Flush,
        b'X' => Frontend::Terminate,
        b'd' | b'c' | b'f' => return Ok(Frontend::Copy),
        _ => return Err(Malformed("its kind is unknown")),
    };
    if reader.0.is_empty() { Ok(message) } else { Err(Malformed("it goes on after its end")) }
}

struct Reader(Bytes);

const ENDS_EARLY: Malformed = Malformed("it ends early");

impl Reader {
    fn u32(&mut self) -> Result<u32, Malformed> {
        self.0.try_get_u32().map_err(|_| ENDS_EARLY)
    }

    fn i32(&mut self) -> Result<i32, Malformed> {
        self.0.try_get_i32().map_err(|_| ENDS_EARLY)
    }

    /// A count of items of at least so many bytes each, which must be there.
    fn count(&mut self, bytes_each: usize) -> Result<usize, Malformed> {
        let count = usize::from(self.0.try_get_u16().map_err(|_| ENDS_EARLY)?);
        if count * bytes_each > self.0.len() { Err(ENDS_EARLY) } else { Ok(count) }
    }

    fn formats(&mut self) -> Result<Vec<i16>, Malformed> {
        let count = self.count(2)?;
        let formats = (0..count).map(|_| self.0.try_get_i16().map_err(|_| ENDS_EARLY)).collect::<Result<Vec<_>, _>>()?;
        if formats.iter().all(|format| [0, 1].contains(format)) {
            Ok(formats)
        } else {
            Err(Malformed("a format is neither text nor binary"))
        }
    }

    fn value(&mut self) -> Result<Option<Bytes>, Malformed> {
        // A negative length is null.
        let Ok(length) = usize::try_from(self.i32()?) else { return Ok(None) };
        if length > self.0.len() { Err(ENDS_EARLY) } else { Ok(Some(self.0.split_to(length))) }
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Malformed("a text has no end"))?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        String::from_utf8(text.into()).map_err(|_| Malformed("a text is not UTF-8"))
    }

    fn named(&mut self) -> Result<Named, Malformed> {
        match self.0.try_get_u8() {
            Ok(b'S') => Ok(Named::Statement),
            Ok(b'P') => Ok(Named::Portal),
            _ => Err(Malformed("it names neither a statement nor a portal")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(bytes: &'static [u8]) -> Bytes {
        Bytes::from_static(bytes)
    }

    #[test]
    fn openings_are_told_apart() {
        assert_eq!(opening(bytes(b"\x04\xd2\x16\x2f")), Ok(Opening::Tls));
        assert_eq!(opening(bytes(b"\x04\xd2\x16\x30")), Ok(Opening::Gss));
        assert_eq!(opening(bytes(b"\x04\xd2\x16\x2e\0\0\0\x07\0\0\0\x09")), Ok(Opening::Cancel { pid: 7, key: 9 }));
        let startup = Opening::Startup { major: 3, minor: 0, parameters: vec![("user".into(), "ann".into())] };
        assert_eq!(opening(bytes(b"\0\x03\0\0user\0ann\0\0")), Ok(startup));
        assert_eq!(opening(bytes(b"\0\x02\0\0")), Ok(Opening::Startup { major: 2, minor: 0, parameters: vec![] }));
    }

    #[test]
    fn a_bind_is_read_with_its_nulls() {
        let expected = Bind {
            portal: String::new(),
            statement: "s".into(),
            formats: vec![1],
            values: vec![Some(bytes(b"ab")), None],
            result_formats: vec![],
        };
        let body = bytes(b"\0s\0\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\0");
        assert_eq!(message(b'B', body), Ok(Frontend::Bind(expected)));
    }

    #[test]
    fn what_ends_early_or_late_or_lies_about_its_length_is_refused() {
        for (kind, body) in [
            (b'Q', &b"SELECT 1"[..]),
            (b'Q', b"SELECT 1\0more"),
            (b'P', b"\0SELECT\0\xff\xff"),
            (b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff"),
            (b'B', b"\0\0\0\x01\0\x02\0\0\0\0"),
            (b'D', b"Xname\0"),
            (b'E', b"\0"),
            (b'?', b""),
        ] {
            assert!(message(kind, Bytes::copy_from_slice(body)).is_err(), "{} {body:?}", kind as char);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_bring_it_down(kind: u8, body: Vec<u8>) {
            _ = message(kind, Bytes::copy_from_slice(&body));
            _ = opening(body.into());
        }
    }
}
