//! The operations of the gateway: what it can answer by itself, by name.
//!
//! A name is `connector.operation`, as in the path `/api/connectors/<connector>/<operation>`;
//! it names the operation in the matrix, in `tables/gateway.toml`, in settings,
//! logs and metrics. Adding one here is the first step of adding a connector
//! (ARCHITECTURE.md); the tables are checked against this list at start, so an
//! operation without an endpoint or a rule cannot be served by accident.

macro_rules! operations {
    ($($variant:ident = $name:literal,)*) => {
        /// What the gateway can answer by itself.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)] // The names are the definition.
        pub enum Operation {
            $($variant,)*
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &[Operation] = &[$(Self::$variant,)*];

            /// Its name in tables, settings, logs and metrics.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

operations! {
    GoogleAdsAccounts = "google-ads.accounts",
    GoogleAdsCampaigns = "google-ads.campaigns",
    GoogleAdsKeywords = "google-ads.keywords",
    GoogleAdsMetrics = "google-ads.metrics",
    GoogleAdsReports = "google-ads.reports",
    Ga4Properties = "ga4.properties",
    Ga4Status = "ga4.status",
    Ga4Property = "ga4.property",
    Ga4Overview = "ga4.overview",
    Ga4Pages = "ga4.pages",
    Ga4Sources = "ga4.sources",
    Ga4Events = "ga4.events",
    Ga4Devices = "ga4.devices",
    Ga4Countries = "ga4.countries",
    Ga4Funnel = "ga4.funnel",
    Ga4Timeseries = "ga4.timeseries",
    SearchConsoleProperties = "google-search-console.properties",
    SearchConsoleOverview = "google-search-console.overview",
    SearchConsoleQueries = "google-search-console.queries",
    SearchConsolePages = "google-search-console.pages",
    SearchConsoleCountries = "google-search-console.countries",
    SearchConsoleDevices = "google-search-console.devices",
    SearchConsoleIndexCoverage = "google-search-console.index-coverage",
    SearchConsoleSitemaps = "google-search-console.sitemaps",
    SearchConsoleTimeseries = "google-search-console.timeseries",
    TagManagerContainers = "google-tag-manager.containers",
    TagManagerOverview = "google-tag-manager.overview",
    TagManagerTags = "google-tag-manager.tags",
    TagManagerTriggers = "google-tag-manager.triggers",
    TagManagerVariables = "google-tag-manager.variables",
    TagManagerVersions = "google-tag-manager.versions",
    TagManagerPreview = "google-tag-manager.preview",
    StripeOverview = "stripe.overview",
}

/// The connector of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Connector {
    /// `google-ads`
    GoogleAds,
    /// `ga4`
    Ga4,
    /// `google-search-console`
    SearchConsole,
    /// `google-tag-manager`
    TagManager,
    /// `stripe`
    Stripe,
}

impl Connector {
    /// Every connector.
    pub const ALL: [Connector; 5] = [
        Self::GoogleAds,
        Self::Ga4,
        Self::SearchConsole,
        Self::TagManager,
        Self::Stripe,
    ];

    /// Its name in paths and operations.
    pub fn name(self) -> &'static str {
        match self {
            Self::GoogleAds => "google-ads",
            Self::Ga4 => "ga4",
            Self::SearchConsole => "google-search-console",
            Self::TagManager => "google-tag-manager",
            Self::Stripe => "stripe",
        }
    }
}

/// The parameters that operations read; what else a caller sends changes no answer.
pub const PARAMETERS: [&str; 11] = [
    "account_id",
    "property_id",
    "container_id",
    "campaign_id",
    "mcc_id",
    "days",
    "range",
    "from",
    "to",
    "type",
    "client_id",
];

impl Operation {
    /// The operation of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|o| o.name() == name)
    }

    /// The operations of this name, or all of the connector of this name; none for any other.
    pub fn named(name: &str) -> Vec<Self> {
        let is_named = |o: &Self| o.name() == name || o.connector().name() == name;
        Self::ALL.iter().copied().filter(is_named).collect()
    }

    /// Whether it lists accounts, properties, sites or containers.
    pub fn lists(self) -> bool {
        matches!(
            self,
            Self::GoogleAdsAccounts
                | Self::Ga4Properties
                | Self::SearchConsoleProperties
                | Self::TagManagerContainers
        )
    }

    /// Its connector.
    pub fn connector(self) -> Connector {
        let is_of = |connector: &Connector| {
            let rest = self.name().strip_prefix(connector.name());
            rest.is_some_and(|rest| rest.starts_with('.'))
        };
        let found = Connector::ALL.into_iter().find(is_of);
        found.unwrap_or(Connector::Stripe)
    }

    /// The last part of its name, and of its path.
    pub fn short(self) -> &'static str {
        self.name().split_once('.').map_or("", |(_, short)| short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_has_a_name_of_its_own_and_a_connector() {
        let mut names = BTreeSet::new();
        for operation in Operation::ALL {
            assert!(names.insert(operation.name()));
            assert_eq!(Operation::parse(operation.name()), Some(*operation));
            let whole = format!("{}.{}", operation.connector().name(), operation.short());
            assert_eq!(whole, operation.name());
        }
        assert_eq!(Operation::parse("ga4"), None);
    }

    #[test]
    fn a_connector_names_all_its_operations() {
        assert_eq!(Operation::named("ga4").len(), 11);
        assert_eq!(Operation::named("ga4.pages"), [Operation::Ga4Pages]);
        assert!(Operation::named("ga").is_empty());
    }
}
