//! A broker that lets in who proves who they are, and has them do only what they may; with certificates of its own, and a server that gives
//! tokens.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::super::{Identity, OauthClient, PasswordMechanism, Sasl, Secret, Security, Tls};
use super::broker::{Broker, Extra, free_port};

/// The password of all.
pub(super) const PASSWORD: &str = "hush-hush";
/// Who may do nothing at first.
pub(super) const LIMITED: &str = "limited";
/// Who proves a password by SCRAM.
pub(super) const SCRAM_USER: &str = "scram";
/// An unsigned token of `tokens` until the year 2100, which a broker without other settings takes.
const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ0b2tlbnMiLCJpYXQiOjE3MDAwMDAwMDAsImV4cCI6NDEwMjQ0NDgwMH0.";
/// The whole request must be shorter, in bytes.
const REQUEST_MAX: usize = 64 << 10;

/// The broker and its listeners.
pub(super) struct Secured {
    broker: Broker,
    /// TLS, for anybody.
    pub(super) tls: String,
    /// TLS, for whoever has a certificate.
    pub(super) mutual: String,
    /// TLS, for users.
    pub(super) users: String,
}

impl Secured {
    /// The broker that all tests share; `None` where there is none.
    pub(super) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Secured>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    fn start() -> Option<Self> {
        let [tls, mutual, users] = [free_port(), free_port(), free_port()];
        let broker = Broker::start_lasting(|folder| {
            certificates(folder);
            let scram = |mechanism| format!("{mechanism}=[name={SCRAM_USER},password=\"{PASSWORD}\"]");
            Extra {
                listeners: vec![("TLS", "SSL", tls), ("MUTUAL", "SSL", mutual), ("USERS", "SASL_SSL", users)],
                properties: properties(folder),
                scram: vec![scram("SCRAM-SHA-256"), scram("SCRAM-SHA-512")],
            }
        })?;
        let [tls, mutual, users] = [tls, mutual, users].map(|port| format!("127.0.0.1:{port}"));
        Some(Self { broker, tls, mutual, users })
    }

    /// Where everybody may do everything.
    pub(super) fn direct(&self) -> String {
        self.broker.direct()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.broker.folder().join(name)
    }

    /// TLS that trusts a certificate.
    pub(super) fn trusting(&self, ca: &str) -> Tls {
        Tls { ca: Some(self.file(ca)), identity: None }
    }

    /// TLS with a certificate of our own.
    pub(super) fn as_client(&self) -> Tls {
        let key_password = Some(Secret::new(PASSWORD));
        let identity = Identity { certificate: self.file("client.pem"), key: self.file("client.key"), key_password };
        Tls { identity: Some(identity), ..self.trusting("ca.pem") }
    }

    /// A user with a password.
    pub(super) fn user(&self, mechanism: PasswordMechanism, username: &str, password: &str) -> Security {
        let sasl = Sasl::Password { mechanism, username: username.to_owned(), password: Secret::new(password) };
        Security { tls: Some(self.trusting("ca.pem")), sasl: Some(sasl) }
    }

    /// A client of an OAuth server.
    pub(super) fn client(&self, tokens: &TokenServer, secret: &str) -> Security {
        let sasl = Sasl::OauthBearer(OauthClient {
            token_endpoint: tokens.url(),
            client_id: "client".to_owned(),
            client_secret: Secret::new(secret),
            scope: Some("kafka".to_owned()),
        });
        Security { tls: Some(self.trusting("ca.pem")), sasl: Some(sasl) }
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let told = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output().unwrap();
    assert!(told.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&told.stderr));
}

/// A certificate that is trusted, one that is not, and those of the broker and of a client that the first has signed.
fn certificates(folder: &Path) {
    const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";
    for ca in ["ca", "other"] {
        openssl(folder, &format!("req -x509 {KEY} -nodes -days 2 -subj /CN={ca} -keyout {ca}.key -out {ca}.pem"));
    }
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    std::fs::write(folder.join("password"), PASSWORD).unwrap();
    for (name, protection) in [("broker", "-nodes"), ("client", "-passout file:password")] {
        openssl(folder, &format!("req -new {KEY} {protection} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        openssl(
            folder,
            &format!("x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out {name}.pem"),
        );
    }
    let [key, certificate] = ["broker.key", "broker.pem"].map(|name| std::fs::read_to_string(folder.join(name)).unwrap());
    std::fs::write(folder.join("broker.store"), key + &certificate).unwrap();
}

fn properties(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.store
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
listener.name.mutual.ssl.client.auth=required
listener.name.users.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.users.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{LIMITED}=\"{PASSWORD}\";
listener.name.users.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.users.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.users.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
"
    )
}

/// An OAuth server, which gives one token to who has the password.
pub(super) struct TokenServer {
    port: u16,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl TokenServer {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // An empty connection ends it.
        let serve = move || {
            for connection in listener.incoming() {
                if !answer(connection.unwrap()) {
                    return;
                }
            }
        };
        Self { port, thread: Some(std::thread::spawn(serve)) }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/token", self.port)
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Answers one request; false where there is none.
fn answer(mut connection: TcpStream) -> bool {
    // `client:hush-hush`, as HTTP's basic authentication writes it.
    const EXPECTED: &str = "Authorization: Basic Y2xpZW50Omh1c2gtaHVzaA==";
    let mut reader = BufReader::new(connection.try_clone().unwrap()).take(REQUEST_MAX as u64);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        head.push_str(&std::mem::take(&mut line));
    }
    if head.is_empty() {
        return false;
    }
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let (status, answer) = match head.contains(EXPECTED) && body.contains("grant_type=client_credentials") && body.contains("scope=kafka") {
        true => ("200 OK", format!(r#"{{"access_token":"{TOKEN}","token_type":"Bearer","expires_in":3600}}"#)),
        false => ("401 Unauthorized", r#"{"error":"invalid_client","error_description":"the client is not known"}"#.to_owned()),
    };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
    connection.write_all((head + &answer).as_bytes()).unwrap();
    true
}
