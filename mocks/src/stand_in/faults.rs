//! What a stand-in can be told to do wrong.

use serde::{Deserialize, Serialize};

/// One way of going wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// None.
    #[default]
    None,
    /// Answer with `status` and an error object.
    Status,
    /// Take the request and never answer.
    Hang,
    /// Send the head and half of the body, then nothing more.
    HangBody,
    /// Send the good answer a byte at a time, 20 ms apart.
    SlowBody,
    /// Break the connection off with a reset.
    Reset,
    /// Close the connection in good order, without an answer.
    Close,
    /// `103 Early Hints`, then the good answer.
    EarlyHints,
    /// A status line that is none.
    Garbage,
    /// 200 with two lengths that differ.
    TwoLengths,
    /// 200 with a chunk whose length is no number.
    BadChunk,
    /// 200 with 2 MiB of head.
    HugeHead,
    /// 200 with an HTML page.
    Html,
    /// 200 with JSON that ends in the middle, correctly framed.
    CutOffJson,
    /// 200 with half of the announced body, then close.
    CutOffBody,
    /// 200 with empty lists.
    EmptyRows,
    /// 200 with words where counts belong.
    TextInNumbers,
    /// 200 with a list where `data` should be an object.
    ListData,
    /// 200 with more than 8 MiB.
    Huge,
    /// 200 with a `Content-Encoding` nobody asked for.
    Gzip,
    /// 302 to another host.
    Redirect,
    /// 401.
    Unauthorized,
    /// 400 `{"error": "not_connected"}`.
    NotConnected,
    /// `status` (400 if none) with `{"error": <error>}`, as Coolbits tells what it recognises.
    Recognised,
    /// 200 with another customer's figures, saying so.
    WrongAccount,
    /// The app answers for client 20, whoever asks.
    ForeignRow,
    /// Chat goes on with another conversation than the one it was given.
    OtherConversation,
    /// A list has an id of client 20 where none stands.
    ForeignElsewhere,
    /// The app serves Werkzeug's debugger, as it does with `DEBUG` on.
    Debugger,
    /// The good answer, with a cookie that holds the request's id, and with `status` if there is one.
    SetCookie,
    /// The good answer, with `Cache-Control: no-store`.
    NoStore,
}

/// The faults in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// What goes wrong.
    pub fault: Fault,
    /// Wait before every answer, in milliseconds; what is asked for is looked at afterwards.
    pub latency_ms: u64,
    /// Wait only where the path contains this.
    pub latency_only: Option<String>,
    /// Status for [`Fault::Status`], [`Fault::Recognised`] and [`Fault::SetCookie`].
    pub status: Option<u16>,
    /// The code for [`Fault::Recognised`].
    pub error: Option<String>,
    /// Only where the path contains this.
    pub only: Option<String>,
    /// Only this many times, then no more.
    pub times: Option<u32>,
}

impl Faults {
    /// How long a request of this path waits, in milliseconds.
    pub(crate) fn latency(&self, path: &str) -> u64 {
        let hit = self.latency_only.as_ref();
        match hit.is_none_or(|part| path.contains(part)) {
            true => self.latency_ms,
            false => 0,
        }
    }

    /// The fault for a request of this path, counting down `times`.
    pub(crate) fn take(&mut self, path: &str) -> Fault {
        let hit = self.only.as_ref().is_none_or(|part| path.contains(part));
        match (hit, &mut self.times) {
            (false, _) | (true, Some(0)) => Fault::None,
            (true, Some(left)) => {
                *left -= 1;
                self.fault
            }
            (true, None) => self.fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_path_can_be_slow_alone() {
        let faults = r#"{"latency_ms": 300, "latency_only": "/chat/"}"#;
        let faults: Faults = serde_json::from_str(faults).unwrap();
        assert_eq!(faults.latency("/chat/business/seo"), 300);
        assert_eq!(faults.latency("/api/conversations/4"), 0);
        let all = Faults {
            latency_only: None,
            ..faults
        };
        assert_eq!(all.latency("/api/conversations/4"), 300);
    }
}
