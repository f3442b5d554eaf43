//! What the app reads of Coolbits by itself, done for whoever it is for.
//!
//! A run's read has the breaker, the deadline and the lock of a read of ours; its payload
//! is the app's to map. What passes goes through as it is, redirects and cookies too.

use super::client::{Reading, Reply};
use super::coolbits::select;
use super::failure::{Failure, Miss};
use super::ga4;
use super::params::{Selection, add_aliases};
use super::rows::{check_account, digits};
use super::vitals::Admitted;
use super::{Gateway, Holder};
use crate::behind::Handle;
use bytes::Bytes;
use camarad_policies::accounts;
use camarad_policies::ids::UserId;
use camarad_policies::operation::{Connector, Operation};
use camarad_policies::route::CoolbitsCredential;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use tokio::time::Instant;

/// Headers of the app's request that go on; the rest is of its connection.
const PASSED: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::ACCEPT,
    header::CONTENT_TYPE,
    header::COOKIE,
    HeaderName::from_static("x-workspace-id"),
    HeaderName::from_static("x-real-llm-confirm"),
];

/// A read of the app's, and whose it is.
struct Errand<'a> {
    user: u64,
    connector: Connector,
    /// What the answer has to be about.
    account: &'a str,
    /// Digits of the customer to select, and of its manager; `None` where none is selected.
    selection: Option<Selection>,
    path: &'a str,
    query: Vec<(String, String)>,
}

impl Gateway {
    /// Reads for a run: the path that the app asks, for the handle's account.
    pub(crate) async fn read_as(
        &self,
        credential: &CoolbitsCredential,
        handle: &Handle,
        path: &str,
        mut query: Vec<(String, String)>,
    ) -> Result<Reply, Miss> {
        // A run reads one thing of each connector; its other paths are nobody's.
        let endpoint = self.endpoints.of(handle.operation);
        let mut paths = endpoint.iter().flat_map(|endpoint| endpoint.paths(false));
        if !paths.any(|own| *own == *path) {
            return Err(Failure::NotConnected.into());
        }
        let connector = handle.operation.connector();
        let account = handle.account.as_deref().unwrap_or_default();
        let manager = handle.manager.as_deref();
        let selection = (connector == Connector::GoogleAds).then(|| selection(account, manager));
        if selection.is_some() {
            add_aliases(manager, &mut query);
        }
        let errand = Errand {
            user: handle.user.get(),
            connector,
            account,
            selection,
            path,
            query,
        };
        match credential {
            CoolbitsCredential::Caller(token) => self.as_caller(token.expose(), errand).await,
            CoolbitsCredential::Service => {
                let may_read = |id: &str| self.service.may_read(Some(handle.client), id);
                let mut named = [Some(account), manager].into_iter().flatten();
                match named.all(may_read) {
                    true => self.as_service(errand).await,
                    false => Err(Failure::NotConnected.into()),
                }
            }
        }
    }

    /// Reads Google Ads with a caller's own token: selected and read as one, since a read
    /// alone gives whatever was selected last. `None` where this is no such read.
    pub(crate) async fn read_as_caller(
        &self,
        token: &str,
        user: UserId,
        path: &str,
        query: &[(String, String)],
    ) -> Option<Result<Reply, Miss>> {
        let connector = self.connector_read(path);
        connector.filter(|connector| *connector == Connector::GoogleAds)?;
        let ads = accounts::Connector::find(Connector::GoogleAds.name())?;
        let first = |names: &[&str]| {
            let named = |name: &&str| query.iter().find(|(own, id)| own == name && !id.is_empty());
            let (_, id) = names.iter().find_map(named)?;
            Some(id.as_str())
        };
        let Some(account) = first(ads.names()) else {
            return Some(Err(Failure::NotConnected.into()));
        };
        let errand = Errand {
            user: user.get(),
            connector: Connector::GoogleAds,
            account,
            selection: Some(selection(account, first(ads.managers()))),
            path,
            query: query.to_vec(),
        };
        Some(self.as_caller(token, errand).await)
    }

    async fn as_caller(&self, token: &str, errand: Errand<'_>) -> Result<Reply, Miss> {
        let admitted = self.vitals.admit(errand.user)?;
        let deadline = Instant::now() + self.deadline;
        let reading = self.client.reading(token, errand.user, deadline);
        let holder = Holder::User(errand.user);
        let outcome = self.selected(&reading, holder, &errand).await;
        self.ended(admitted, outcome)
    }

    /// A refused token is renewed once (contract, section 4).
    async fn as_service(&self, errand: Errand<'_>) -> Result<Reply, Miss> {
        let admitted = self.vitals.admit(errand.user)?;
        let deadline = Instant::now() + self.deadline;
        let read = async |refused: Option<&str>| {
            let token = self.service.token(&self.client, refused, deadline).await;
            let token = token.map_err(|miss| (None, miss))?;
            let reading = self.client.reading(&token, errand.user, deadline);
            let read = self.selected(&reading, Holder::Service, &errand).await;
            read.map_err(|miss| (Some(token), miss))
        };
        let outcome = match read(None).await {
            Err((Some(refused), miss)) if miss.failure == Failure::Unauthorized => {
                read(Some(&refused)).await
            }
            outcome => outcome,
        };
        self.ended(admitted, outcome.map_err(|(_, miss)| miss))
    }

    fn ended(&self, admitted: Admitted<'_>, outcome: Result<Reply, Miss>) -> Result<Reply, Miss> {
        admitted.end(&outcome);
        let failed = outcome.as_ref().err().map(|miss| miss.failure);
        self.observer.coolbits_read(failed);
        outcome
    }

    async fn selected(
        &self,
        reading: &Reading<'_>,
        holder: Holder,
        errand: &Errand<'_>,
    ) -> Result<Reply, Miss> {
        let (path, query) = (errand.path.into(), &errand.query);
        let lock = match errand.selection.clone() {
            None => None,
            Some(selection) => {
                let lock = self.selections.alone(holder, reading.deadline()).await;
                let lock = lock.ok_or(Failure::Timeout)?;
                select(reading, selection).await?;
                Some(lock)
            }
        };
        let reply = reading.get(&path, query).await?;
        drop(lock);
        // Whatever another one selected in between shows here.
        let is_own = match errand.connector {
            Connector::Ga4 => ga4::check_property(&reply.payload, errand.account),
            _ => check_account(&reply.payload, errand.account),
        };
        match is_own {
            Ok(()) => Ok(reply),
            Err(_) => Err(Miss {
                path: Some(reply.path.clone()),
                ..Failure::BadPayload.into()
            }),
        }
    }

    /// Whether a path is one of Google Ads' figures.
    pub(crate) fn is_ads_read(&self, path: &str) -> bool {
        self.connector_read(path) == Some(Connector::GoogleAds)
    }

    /// The connector of whose figures a path is a read.
    fn connector_read(&self, path: &str) -> Option<Connector> {
        let reads = |operation: &&Operation| {
            !operation.lists()
                && !matches!(operation, Operation::Ga4Property | Operation::Ga4Status)
                && self
                    .endpoints
                    .of(**operation)
                    .is_some_and(|endpoint| endpoint.paths(false).iter().any(|own| **own == *path))
        };
        let found = Operation::ALL.iter().find(reads)?;
        Some(found.connector())
    }

    /// Passes a request on as it is; what comes back is not followed.
    pub(crate) async fn pass(
        &self,
        method: Method,
        target: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Failure> {
        let mut passed = HeaderMap::new();
        for name in PASSED {
            for value in headers.get_all(&name) {
                passed.append(name.clone(), value.clone());
            }
        }
        self.client.pass(method, target, passed, body).await
    }
}

fn selection(account: &str, manager: Option<&str>) -> Selection {
    Selection {
        customer: digits(account),
        manager: manager.and_then(|id| digits(id).parse().ok()),
    }
}
