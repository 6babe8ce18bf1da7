//! Asks a server. Two GETs at an interval need no client with pools and certificates.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};

use super::samples::Samples;
use crate::exit::{Code, error};
use crate::limits::{TOP_ANSWER_BYTES_MAX, TOP_ANSWER_WITHIN};

/// A server that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Host and port.
    authority: String,
    /// What comes before the paths that are asked for.
    base: String,
}

/// What it said.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its metrics.
    pub samples: Samples,
    /// Whether it is ready, and what is in the way where it is not.
    pub ready: Result<(), Vec<String>>,
}

impl Server {
    /// A server by its URL.
    ///
    /// # Errors
    /// Where it is none that can be asked.
    pub fn of(url: &str) -> anyhow::Result<Self> {
        let rest = url.strip_prefix("http://").ok_or_else(|| {
            error(Code::Usage, format!("{url}: write http://HOST:PORT; a server is asked where it listens, not through a proxy with TLS"))
        })?;
        let (authority, base) = rest.split_once('/').map_or((rest, ""), |(authority, base)| (authority, base.trim_end_matches('/')));
        let authority = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
        let base = if base.is_empty() { String::new() } else { format!("/{base}") };
        Ok(Self { authority, base })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.authority, self.base)
    }

    /// Asks what it does, and whether something is in its way.
    ///
    /// # Errors
    /// Where nothing answers, or something else than a server of this program.
    pub fn look(&self) -> anyhow::Result<Fetched> {
        let (status, metrics) = self.get("/metrics")?;
        if status != 200 {
            return Err(error(Code::Storage, format!("{}/metrics answers {status}: is it a server of cloudigrade?", self.url())));
        }
        let (status, said) = self.get("/readyz")?;
        let ready = if status == 200 { Ok(()) } else { Err(problems(&said)) };
        Ok(Fetched { samples: Samples::parse(&metrics), ready })
    }

    fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        self.exchange(path).map_err(|cause| {
            let message = format!("{} does not answer: {cause}; start a server, or name one with --url", self.url());
            error(Code::Storage, message)
        })
    }

    fn exchange(&self, path: &str) -> std::io::Result<(u16, String)> {
        let not_http = || std::io::Error::other("the answer is not HTTP");
        let address = self.authority.to_socket_addrs()?.next().ok_or_else(|| std::io::Error::other("the host has no address"))?;
        let mut stream = TcpStream::connect_timeout(&address, TOP_ANSWER_WITHIN)?;
        stream.set_read_timeout(Some(TOP_ANSWER_WITHIN))?;
        stream.set_write_timeout(Some(TOP_ANSWER_WITHIN))?;
        // By 1.0 the answer comes in one piece, and its end is that of the connection.
        let request = format!("GET {}{path} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\n\r\n", self.base, self.authority);
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(TOP_ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(not_http)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(not_http)?;
        Ok((status, body.to_owned()))
    }
}

/// What `/readyz` says is in the way.
fn problems(said: &str) -> Vec<String> {
    let parsed: serde_json::Value = serde_json::from_str(said).unwrap_or_default();
    let told = parsed["problems"].as_array().into_iter().flatten();
    let told: Vec<String> = told.filter_map(|problem| problem["message"].as_str().map(str::to_owned)).collect();
    if told.is_empty() { vec![said.trim().to_owned()] } else { told }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_is_asked_where_it_listens() {
        assert_eq!(Server::of("http://h:8080/").unwrap().url(), "http://h:8080");
        assert_eq!(Server::of("http://h/base").unwrap().url(), "http://h:80/base");
        assert!(Server::of("https://h").is_err() && Server::of("h:8080").is_err());
    }

    #[test]
    fn what_it_does_and_what_is_in_its_way_are_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server::of(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let answers = std::thread::spawn(move || {
            let ready = r#"{"problems":[{"subject":"disk","message":"no room"}]}"#;
            for (path, answer) in
                [("/metrics", "HTTP/1.0 200 OK\r\n\r\na 1\n".to_owned()), ("/readyz", format!("HTTP/1.0 503 X\r\n\r\n{ready}"))]
            {
                let (mut stream, _) = listener.accept().unwrap();
                // All of it: what is left unread when a connection is closed resets it.
                let lines = std::io::BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                assert!(head[0].starts_with(&format!("GET {path} ")), "{head:?}");
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let fetched = server.look().unwrap();
        answers.join().unwrap();
        assert_eq!((fetched.samples.of("a"), fetched.ready), (Some(1.0), Err(vec!["no room".to_owned()])));
        assert!(server.look().unwrap_err().to_string().contains("does not answer"));
    }
}
