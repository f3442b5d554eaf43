//! Objects and accounts of the stand-in, by whose they are.

use camarad_policies::guard::Object;

/// Owner's user and client (0: none), then conversation with `business/seo`, flow
/// and run, meeting, links to Google Ads and GA4 (the table in the stand-in's `seed.rs`).
const OWNED: [(u64, u64, &str, &str, &str, &str); 8] = [
    (1, 0, "2", "1", "m-1", "9999"),
    (1, 10, "4", "2", "m-2", "1"),
    (1, 11, "6", "3", "m-3", "3"),
    (2, 0, "8", "4", "m-4", "9999"),
    (2, 20, "10", "5", "m-5", "5"),
    (3, 0, "12", "6", "m-6", "9999"),
    (3, 30, "14", "7", "m-7", "9"),
    (3, 31, "16", "8", "m-8", "11"),
];

/// Client, and its accounts of Google Ads and GA4.
const ACCOUNTS: [(u64, &str, &str); 5] = [
    (10, "123-456-7890", "G-ABC123DEF4"),
    (11, "234-567-8901", "G-XYZ789GHI0"),
    (20, "345-678-9012", "G-JKL456MNO1"),
    (30, "456-789-0123", "G-THREE0001"),
    (31, "567-890-1234", "G-THREE0011"),
];

/// The id of a user's object within a client, 0 for none.
pub fn object(kind: Object, user: u64, client: u64) -> String {
    let row = OWNED.iter().find(|row| (row.0, row.1) == (user, client));
    let (_, _, conversation, flow, meeting, link) = *row.unwrap();
    match kind {
        Object::Conversation => conversation.to_owned(),
        Object::Flow | Object::Run => flow.to_owned(),
        Object::Meeting => meeting.to_owned(),
        Object::Link => link.to_owned(),
        // A client that belongs to no client is none.
        Object::Client => {
            if client == 0 {
                "9999".to_owned()
            } else {
                client.to_string()
            }
        }
    }
}

/// A client's account of a connector; for those without links, one that the app makes up.
pub fn account(connector: &str, client: u64) -> &'static str {
    let row = ACCOUNTS.iter().find(|row| row.0 == client).unwrap();
    match (connector, client) {
        ("google-ads", _) => row.1,
        ("ga4", _) => row.2,
        ("google-search-console", 20) => "sc-domain:contoso.example",
        ("google-search-console", _) => "sc-domain:camarad.ai",
        (_, 20) => "GTM-CONTOSO",
        _ => "GTM-WX4R7N2",
    }
}

/// How answers write the accounts of clients other than this one.
pub fn accounts_of_others(client: u64) -> Vec<String> {
    let others = ACCOUNTS.iter().filter(|row| row.0 != client);
    let texts = others.flat_map(|row| [row.1.to_owned(), row.1.replace('-', ""), row.2.to_owned()]);
    texts.collect()
}
