//! One connection, from its first head to its end.
//!
//! Between requests the line is ours: heads that are malformed, too large or too
//! slow are answered and told here, in the form of every other refusal, and a
//! panic that got past the hooks still ends in a 500 and a record.

use super::accept::{Front, Phase, Serving};
use super::answer::Answer;
use super::context::{Context, request_id, since_epoch};
use super::exchange::{Exchange, Tags, Times};
use super::handle::Handled;
use super::line::{LINGER, Line, Patience};
use super::request_head::RequestHead;
use crate::observe::Observer;
use crate::panics::{BREAK_AT, break_where_asked, caught};
use camarad_policies::head::{Framing, Head, method_of, target_of};
use camarad_policies::normalise::known_method;
use camarad_policies::record::Record;
use camarad_policies::refusal::Refusal;
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// How long a new connection may still send its first head once we are closing:
/// long enough for one that was accepted a moment ago.
const FIRST_WHILE_CLOSING: Duration = Duration::from_millis(250);

/// What a connection needs.
pub(super) struct Host {
    pub(super) front: Arc<Front>,
    pub(super) observer: Arc<Observer>,
    pub(super) phase: watch::Receiver<Phase>,
}

/// What the connection gives Pingora's hooks along with a request.
pub(super) struct Arrival {
    /// No further request is wanted on this connection.
    pub(super) last: bool,
    /// What was decided.
    pub(super) context: Context,
    /// What the hooks tell back.
    pub(super) told: Arc<Told>,
}

/// What the hooks tell the connection.
#[derive(Default)]
pub(super) struct Told {
    /// They have the request, and will tell its record.
    pub(super) met: AtomicBool,
    /// An answer without a framing of its own broke off, which an orderly end would
    /// hide from a caller who takes the end of the connection for the end of the body.
    pub(super) broke_off: AtomicBool,
}

impl Host {
    /// Serves a connection to its end.
    pub(super) async fn serve(&self, stream: TcpStream) {
        let mut line = Line::new(stream);
        let mut served = 0;
        let mut closing = pin!(self.closing(true));
        let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
        let mut serving = self.front.serving();
        loop {
            self.front.renew(&mut serving);
            let limits = &serving.config.limits;
            let patience = Patience {
                idle: if served == 0 {
                    limits.head_timeout
                } else {
                    limits.idle_timeout
                },
                head: limits.head_timeout,
            };
            let (head, read) = match line
                .next_head(&limits.head, patience, timer.as_mut(), closing.as_mut())
                .await
            {
                Ok(Some(head)) => head,
                Ok(None) => return line.end(limits.write_timeout).await,
                Err(refusal) => {
                    line.forget_rest();
                    self.refuse(&mut line, refusal).await;
                    return line.close(limits.write_timeout).await;
                }
            };
            // A head may have been waited for, and the settings be others by now.
            self.front.renew(&mut serving);
            let limits = &serving.config.limits;
            served += 1;
            if served == 1 {
                closing.set(self.closing(false));
            }
            // Pingora reads chunks ahead of where they end, so what follows them cannot be kept.
            let chunked = head.framing == Framing::Chunked;
            let last = !head.keep_alive || chunked || served >= limits.keepalive_requests;
            // Idle connections are many, and need no room for a request. With the room there
            // first, its kilobytes need not be made on the stack and copied.
            let room = Box::new_uninit();
            let request = Box::write(room, self.request(&serving, line, &head, read, last));
            match Box::into_pin(request).await {
                Some((back, true)) => line = back,
                Some((back, _)) => return back.close(limits.write_timeout).await,
                None => return,
            }
        }
    }

    /// Tells a caller that there are too many, and closes.
    pub(super) async fn turn_away(&self, stream: TcpStream) {
        let mut line = Line::new(stream);
        line.forget_rest();
        self.refuse(&mut line, Refusal::Overloaded).await;
        line.close(LINGER).await;
    }

    /// Answers one request; gives the line back, and whether it can be used again.
    async fn request(
        &self,
        serving: &Arc<Serving>,
        line: Line,
        head: &Head,
        read: RequestHead,
        last: bool,
    ) -> Option<(Line, bool)> {
        let limits = &serving.config.limits;
        let times = Times {
            read: limits.body_timeout,
            write: limits.write_timeout,
        };
        let keep = !last && !*self.front.stopping().borrow();
        let started = line.headed().into_std();
        let mut exchange = Exchange::new(line, head, read, keep, times);
        let sidecar = &serving.sidecar;
        let in_flight = &self.observer.metrics.in_flight;
        let mut context = Context::new(in_flight, head.framing, started);
        // Before anything is decided: what is refused early is told with it, too.
        context.record.peer = exchange.peer().map(|peer| peer.text.clone());
        let handled = {
            // Pinned, or it would be moved into what catches.
            let work = pin!(sidecar.handle(&mut exchange, &mut context));
            caught(&self.observer, work).await
        };
        match handled {
            Some(Ok(Handled::Stream)) => {
                let line = exchange.into_stream();
                return Box::pin(self.stream(serving, line, context, last)).await;
            }
            // A caller that could not be answered; the record says what was tried.
            Some(Ok(Handled::Answered) | Err(_)) => {}
            None if exchange.told().is_some() => exchange.close_after(),
            None => {
                exchange.close_after();
                let refused = exchange.refuse(&mut context, Refusal::Internal);
                // Counted where it is caught; the record is told either way.
                let _ = caught(&self.observer, refused).await;
            }
        }
        // 499: the caller left before there was an answer.
        let (status, sent) = exchange.told().map_or((499, 0), |t| (t.status, t.bytes));
        let tell = async {
            break_where_asked("logging", || exchange.head().get(BREAK_AT));
            sidecar.tell(&mut context, status, sent)
        };
        // Counted where it is caught; there is nobody left to answer.
        let ended = caught(&self.observer, tell).await;
        let (mut line, keep) = exchange.into_line()?;
        if let Some(ended) = ended {
            line.rests_since(ended.into());
        }
        Some((line, keep))
    }

    /// Lets Pingora stream a request that is decided.
    async fn stream(
        &self,
        serving: &Arc<Serving>,
        line: Line,
        context: Context,
        last: bool,
    ) -> Option<(Line, bool)> {
        let limits = &serving.config.limits;
        let method = context.record.method.clone();
        let told = Arc::new(Told::default());
        let (loan, home) = line.lend();
        let mut session = ServerSession::new_http1(Box::new(loan));
        session.set_pipelining_enabled(true);
        session.set_read_timeout(Some(limits.body_timeout));
        session.set_write_timeout(Some(limits.write_timeout));
        session.set_connection_user_context(Some(Box::new(Arrival {
            last,
            context,
            told: told.clone(),
        })));
        let work = serving
            .proxy
            .process_new_http(session, self.front.stopping());
        let outcome = caught(&self.observer, work).await;
        let panicked = outcome.is_none();
        let reusable = matches!(&outcome, Some(Some(_)));
        // The session goes with it, and the line comes home.
        drop(outcome);
        let mut line = home.take()?;
        if panicked {
            let mut record = self.record(&line, &method, Refusal::Internal);
            if !line.answered() {
                line.forget_rest();
                self.answer(&mut line, &mut record, Refusal::Internal).await;
            }
            self.tell(record);
        }
        if !panicked && line.answered() && !told.met.load(Ordering::Relaxed) {
            // Refused by Pingora itself: there was no hook to tell of it.
            self.tell(self.record(&line, &method, Refusal::HeadMalformed));
        }
        if told.broke_off.load(Ordering::Relaxed) {
            line.cut();
            return None;
        }
        let reusable = reusable && !last && line.is_flushed();
        Some((line, reusable))
    }

    /// Answers for a request that has no session.
    async fn refuse(&self, line: &mut Line, refusal: Refusal) {
        let mut record = self.record(line, method_of(line.ahead()), refusal);
        self.answer(line, &mut record, refusal).await;
        self.tell(record);
    }

    /// Tells of a request that no rule applied to.
    fn tell(&self, mut record: Record) {
        record.time = Some(SystemTime::now());
        self.observer.tell(&mut record, None, Instant::now());
    }

    async fn answer(&self, line: &mut Line, record: &mut Record, refusal: Refusal) {
        let target = target_of(line.ahead());
        let is_api = target.starts_with(b"/api/") || !target.starts_with(b"/");
        let answer = Answer::refusal(refusal, &record.request_id, is_api);
        let tags = Tags {
            request_id: &record.request_id,
            cookie: None,
        };
        let mut head = Vec::new();
        let is_silent = record.method == "HEAD";
        answer.write_head(&mut head, &tags, false, is_silent);
        let body: &[u8] = if is_silent { &[] } else { &answer.body };
        record.bytes_sent = body.len();
        let patience = self.front.serving().config.limits.write_timeout;
        // The caller may be gone; the record is told either way.
        let _ = line.send([&head, body], patience).await;
    }

    fn record(&self, line: &Line, method: &str, refusal: Refusal) -> Record {
        let mut record = Record {
            method: known_method(method).map_or_else(|| method.to_owned().into(), Cow::Borrowed),
            peer: line.peer().map(|peer| peer.text.clone()),
            status: refusal.answer().status,
            duration_ms: line.since_head().as_secs_f64() * 1000.0,
            ..Record::begun(request_id(since_epoch()))
        };
        record.refuse(refusal);
        record
    }

    /// Comes when no further request is to be waited for.
    async fn closing(&self, first: bool) {
        let mut phase = self.phase.clone();
        // An error means that the sender is gone, and with it the listener.
        let _ = phase.wait_for(|phase| *phase == Phase::Closing).await;
        if first {
            tokio::time::sleep(FIRST_WHILE_CLOSING).await;
        }
    }
}
