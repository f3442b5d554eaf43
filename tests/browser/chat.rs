//! Chat goes by the client that is open, and shows nothing of another.

use super::{NOT_FOUND, Visitor, limited, unlimited};
use crate::support::{Ask, Claims};
use serde_json::{Value, json};

impl Visitor {
    /// Sends a message in a chat; gives the reply.
    async fn send(&self, message: &str) -> String {
        let count = "document.querySelectorAll('.message.assistant').length";
        let before = self.browser.run(&format!("return {count}")).await;
        self.browser.fill("#message", message).await;
        self.browser.click("#send").await;
        self.browser.until(&format!("{count} > {before}")).await;
        self.browser.text(".message.assistant:last-child").await
    }
}

#[tokio::test]
async fn chat_stays_within_the_open_client() {
    // What the app stored without a client is the user's under every client.
    chat(unlimited(), &["u1.c0"]).await;
}

#[tokio::test]
async fn chat_stays_within_the_open_client_for_a_limited_token() {
    chat(limited(), &[]).await;
}

async fn chat(claims: Claims, of_none: &[&str]) {
    let visitor = Visitor::with_client(claims, 10).await;
    let browser = &visitor.browser;
    let of_10 = [of_none, &["u1.c10"]].concat();
    let of_11 = [of_none, &["u1.c11"]].concat();

    // The app alone would show client 11's, which is newer.
    visitor.open("/chat/business/seo").await;
    assert_eq!(visitor.place().await, "/chat/business/seo?conv_id=4");
    let messages = browser.text("#messages").await;
    assert!(messages.contains("Question of u1.c10 to seo"), "{messages}");
    visitor.sees_only(&of_10).await;
    let reply = visitor.send("How are we found?").await;
    assert!(
        reply.starts_with("Reply in u1.c10 to: How are we found?"),
        "{reply}"
    );
    let reply = visitor.send("And tomorrow?").await;
    assert!(
        reply.starts_with("Reply in u1.c10 to: And tomorrow?"),
        "{reply}"
    );
    assert!(reply.contains("user: How are we found?"), "{reply}");

    visitor.leave_by("#new-chat").await;
    let begun = visitor.place().await;
    assert!(begun.starts_with("/chat/business/seo?conv_id="), "{begun}");
    assert!(!begun.ends_with("=4"));
    assert_eq!(browser.text("#messages").await.trim(), "");
    let sidebar = browser.text("#sidebar").await;
    assert!(sidebar.contains("Talk with seo of u1.c10"), "{sidebar}");
    let reply = visitor.send("Anew").await;
    assert_eq!(
        reply.trim(),
        "Reply in u1.c10 to: Anew | Before that:",
        "it knows nothing of the first"
    );
    visitor.sees_only(&of_10).await;

    // An agent with whom the client has not talked.
    visitor.open("/chat/business/ads").await;
    let begun = visitor.place().await;
    assert!(begun.starts_with("/chat/business/ads?conv_id="), "{begun}");
    let reply = visitor.send("Hello").await;
    assert!(reply.starts_with("Reply in u1.c10 to: Hello"), "{reply}");
    let talks = visitor.objects("conversations").await;
    let made: Vec<_> = talks.iter().filter(|talk| talk["agent"] == "ads").collect();
    assert_eq!(made.len(), 1);
    assert_eq!(
        (&made[0]["user"], &made[0]["client"]),
        (&json!(1), &json!(10))
    );

    visitor.open("/app").await;
    visitor.switch_to(11).await;
    visitor.open("/chat/business/seo").await;
    assert_eq!(visitor.place().await, "/chat/business/seo?conv_id=6");
    let reply = visitor.send("And here?").await;
    assert!(
        reply.starts_with("Reply in u1.c11 to: And here?"),
        "{reply}"
    );
    visitor.sees_only(&of_11).await;
    visitor.leave().await;
}

#[tokio::test]
async fn conversations_out_of_the_open_client_are_refused() {
    let visitor = Visitor::with_client(unlimited(), 10).await;
    let browser = &visitor.browser;
    // Of user 2, and of client 11: the page goes on with the open client's own.
    browser
        .open(&visitor.sidecar.url("/chat/business/seo?conv_id=10"))
        .await;
    visitor.is_refused().await;
    visitor.open("/chat/business/seo?conv_id=6").await;
    assert_eq!(visitor.place().await, "/chat/business/seo?conv_id=4");
    visitor.sees_only(&["u1.c0", "u1.c10"]).await;

    // A page that names another one than it shows.
    visitor.open("/chat/business/seo").await;
    browser
        .run("document.getElementById('messages').dataset.convId = 6")
        .await;
    browser.fill("#message", "What did they ask?").await;
    browser.click("#send").await;
    browser
        .until("document.getElementById('error').textContent")
        .await;
    visitor.failed_with(&[NOT_FOUND]).await;
    visitor.sees_only(&["u1.c0", "u1.c10"]).await;
    let writes = format!("{}/judge/writes", visitor.legacy.url());
    let writes = Ask::get(&writes).send().await.json();
    let is_chat = |write: &Value| write["route"].as_str().unwrap().contains("/chat/");
    assert!(!writes.as_array().unwrap().iter().any(is_chat), "{writes}");

    // The switcher loads the same address again, and that is another client's now.
    browser.click("#client-switch option[value='11']").await;
    browser
        .until("location.search === '?conv_id=6' && document.body.dataset.ready === '1'")
        .await;
    visitor.sees_only(&["u1.c0", "u1.c11"]).await;
    visitor.leave().await;
}
