//! Listens on loopback and hands whole requests to the router. Listener, handler, shutdown: the
//! shape of mini-redis. Nothing here knows AWS.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::Watch;
use crate::cloud::Cloud;
use crate::fault::Faults;
use crate::protocol::{Request, Response};
use crate::router::{self, Outcome};
use crate::tasks::Tasks;

/// The largest body taken: the parts of an upload are smaller, and bodies are held in memory.
const BODY_LIMIT: usize = 512 * 1024 * 1024;

/// What runs when a planted fault ends the client's process.
pub(crate) type CrashHook = Arc<dyn Fn() + Send + Sync>;

/// Ends this process as `kill -9` does: nothing is flushed and no destructor runs.
pub(crate) fn kill_this_process() {
    #[cfg(unix)]
    {
        use rustix::process::{Signal, getpid, kill_process};
        // Nobody is refused the killing of himself.
        let _killed = kill_process(getpid(), Signal::KILL);
    }
    std::process::abort()
}

/// What every connection shares.
pub(crate) struct Handler {
    pub(crate) cloud: Cloud,
    pub(crate) faults: Faults,
    pub(crate) crash: CrashHook,
    pub(crate) watch: Option<Watch>,
    pub(crate) stopping: CancellationToken,
}

/// Accepts connections until `handler.stopping`. Each is a task of `connections`.
pub(crate) async fn serve(listener: TcpListener, handler: Arc<Handler>, connections: Tasks) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = handler.stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(connection(stream, peer, Arc::clone(&handler)));
            }
            // Out of file handles, or the peer is gone already: the next accept may succeed.
            Err(error) => {
                tracing::warn!(%error, "the sandbox could not accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, handler: Arc<Handler>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "no delay could be set");
    }
    let stopping = handler.stopping.clone();
    let service = service_fn(move |request| {
        let handler = Arc::clone(&handler);
        async move { respond(request, &handler).await }
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stopping.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}

async fn respond(request: http::Request<Incoming>, handler: &Handler) -> Result<http::Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            tracing::debug!(%error, "a request's body did not arrive");
            return Ok(Response::new(400, "text/plain", "the body is too large or incomplete\n").into_http());
        }
    };
    let request = Request { method: head.method, uri: head.uri, headers: head.headers, body };
    match router::handle(&handler.cloud, &handler.faults, handler.watch.as_ref(), request).await {
        Outcome::Answer(response) => Ok(response.into_http()),
        Outcome::Cut => Err(Cut),
        Outcome::Crash => {
            handler.stopping.cancel();
            (handler.crash)();
            Err(Cut)
        }
    }
}

/// Ends a connection without an answer.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the connection was cut by a planted fault")
    }
}

impl std::error::Error for Cut {}

impl From<Infallible> for Cut {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
