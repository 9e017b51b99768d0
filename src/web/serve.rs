//! Serving HTTP/1.1: bounded in connections, header size and patience, and ended gracefully.
//!
//! There are only so many connections. Whoever is slow to send a head, a body, or to read an answer, loses theirs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

/// Connections at the same time; more wait in the listener's backlog.
const CONNECTIONS: usize = 2_000;
/// Who sends its headers slower than this holds a connection open on purpose (Slowloris).
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// Who takes nothing of an answer for so long holds a connection open on purpose.
const READS_WITHIN: Duration = Duration::from_secs(10);
/// A connection takes no further request after so long: pooled ones are made anew, and nobody keeps one for ever.
const LIFE: Duration = Duration::from_secs(60);
/// Largest head of a request.
const BUFFER: usize = 16 * 1024;
/// Requests under way get so long when their connection or the process ends.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until `stop`, then lets requests under way end.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN).max_buf_size(BUFFER);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let service = router.clone().map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer));
            request.map(axum::body::Body::new)
        });
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(READS_WITHIN));
        let connection = builder.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(service));
        let mut stop = stop.clone();
        connections.spawn(async move {
            let mut connection = std::pin::pin!(connection);
            // A connection that breaks is the other side's matter.
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = stop.wait_for(|stop| *stop) => {}
                () = tokio::time::sleep(LIFE) => {}
            }
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(DRAIN, connection).await;
            drop(place);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            // Out of file descriptors, most likely: going on at once would only spin.
            tracing::warn!(%error, "a connection could not be taken");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    /// The clock jumps to the next deadline whenever nothing else can go on.
    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_an_answer_loses_the_connection() {
        const ANSWER: usize = 64 * 1024 * 1024;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (end, stop) = watch::channel(false);
        let router = Router::new().route("/", get(async || vec![b'x'; ANSWER]));
        let server = tokio::spawn(serve(listener, router, stop));
        let mut visitor = TcpStream::connect(address).await.expect("a connection");
        visitor.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("a request");
        tokio::time::sleep(READS_WITHIN + Duration::from_secs(5)).await;
        let (mut taken, mut buffer) = (0, vec![0; 1 << 20]);
        while let Ok(read @ 1..) = visitor.read(&mut buffer).await {
            taken += read;
        }
        assert!(taken < ANSWER, "it was kept until all was read");
        end.send_replace(true);
        server.await.expect("an end");
    }
}
