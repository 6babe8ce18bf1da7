//! Clients that are slow, many, or gone.

use std::time::Duration;

use cloudigrade_query::rest::RestOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::backend::ALICE;
use crate::{limits, start};

#[tokio::test]
async fn a_client_that_sends_slowly_is_given_up_and_others_are_answered_meanwhile() {
    let (_folder, server) = start(limits(|limits| {
        limits.head_within = Duration::from_millis(300);
        limits.body_within = Duration::from_millis(300);
    }))
    .await;
    let mut head = TcpStream::connect(server.address).await.unwrap();
    head.write_all(b"GET /healthz HTTP/1.1\r\nHost:").await.unwrap();
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let body = server.raw(
        format!("POST /api/v1/accounts HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Token {ALICE}\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{{")
            .into_bytes()
            .leak(),
    );
    assert_eq!(server.get("/healthz", "").await.status, 200);
    body.await.refuses(408, "body_timeout", "");
    for stream in [&mut head, &mut idle] {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "the connection is closed");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_those_within() {
    let (_folder, server) = start(limits(|limits| limits.connections = 1)).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 15];
    first.read_exact(&mut answer).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut byte = [0; 1];
    let waiting = tokio::time::timeout(Duration::from_millis(200), second.read_exact(&mut byte)).await;
    assert!(waiting.is_err(), "it waits");
    drop(first);
    let answered = tokio::time::timeout(Duration::from_secs(30), second.read_exact(&mut byte)).await;
    assert!(answered.is_ok_and(|read| read.is_ok()), "it is answered");
}

#[tokio::test]
async fn it_stops_when_it_is_told_to_even_with_idle_connections() {
    let (_folder, mut server) = start(RestOptions::default()).await;
    let idle = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(server.get("/healthz", "").await.status, 200);
    server.stop.take().unwrap().send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(30), &mut server.ended).await.unwrap().unwrap();
    drop(idle);
}
