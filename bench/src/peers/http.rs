//! As much of HTTP/1.1 as load, upstream and checks need: heads with a `Content-Length`,
//! and single requests. No chunks, no pipelining.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What an answer's or a request's head says.
pub(crate) struct Head {
    /// Length of the head, with its empty line.
    pub(crate) end: usize,
    pub(crate) content_length: usize,
}

impl Head {
    /// The value of a header, its name in lower case; `head` may be longer than the head.
    pub(crate) fn value<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
        let mut at = 0;
        while let Some(end) = memchr::memchr(b'\n', &head[at..]) {
            let line = &head[at..at + end];
            at += end + 1;
            if line.len() > name.len()
                && line[name.len()] == b':'
                && line[..name.len()].eq_ignore_ascii_case(name)
            {
                return Some(line[name.len() + 1..].trim_ascii());
            }
        }
        None
    }
}

/// The head, once it is there to its end.
pub(crate) fn head_of(bytes: &[u8]) -> Option<Head> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let length = Head::value(&bytes[..end], b"content-length");
    let length = length.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    Some(Head {
        end,
        content_length: length.unwrap_or(0),
    })
}

/// One request on a connection of its own: status and body.
pub(crate) fn once(target: SocketAddr, request: &[u8]) -> io::Result<(u16, Vec<u8>)> {
    ask_on(&mut connect(target)?, request)
}

/// A connection on which nothing is waited for longer than ten seconds.
pub(crate) fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(target)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

/// One request on a connection that is kept.
pub(crate) fn ask_on(stream: &mut TcpStream, request: &[u8]) -> io::Result<(u16, Vec<u8>)> {
    stream.write_all(request)?;
    let (mut bytes, mut chunk) = (Vec::new(), [0; 16 * 1024]);
    loop {
        if let Some(head) = head_of(&bytes)
            && bytes.len() >= head.end + head.content_length
        {
            return Ok((status_of(&bytes)?, bytes.split_off(head.end)));
        }
        match stream.read(&mut chunk)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

/// The status of an answer.
pub(super) fn status_of(bytes: &[u8]) -> io::Result<u16> {
    let digits = bytes
        .get(9..12)
        .and_then(|digits| std::str::from_utf8(digits).ok());
    let status = digits.and_then(|digits| digits.parse().ok());
    status.ok_or_else(|| io::Error::other("an answer without a status"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_whatever_the_case_of_their_names() {
        let bytes = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 12\r\nX: y\r\n\r\nbody";
        let head = head_of(bytes).expect("whole");
        assert_eq!((head.end, head.content_length), (bytes.len() - 4, 12));
        assert!(head_of(&bytes[..20]).is_none());
    }
}
