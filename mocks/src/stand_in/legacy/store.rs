//! The app's data, in memory: every object with its real owner.
//!
//! Ids are given out again: a new one is the highest plus one, so whoever
//! creates next gets the id of the newest that was deleted.

use super::runs::Run;
use super::seed;
use super::templates::Templates;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Whose an object is; without a client it is the user's alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) user: u64,
    pub(super) client: Option<u64>,
}

impl Owner {
    /// What every text of this owner holds: `u1.c10`, or `u1.c0` without a client.
    pub(super) fn mark(self) -> String {
        format!("u{}.c{}", self.user, self.client.unwrap_or(0))
    }

    /// The same user, and no client.
    pub(super) fn of_no_client(self) -> Self {
        Self {
            client: None,
            ..self
        }
    }

    /// A text that says whose it is; added where it does not yet.
    pub(super) fn marked(self, text: &str) -> String {
        let mark = self.mark();
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
        match words.any(|word| word == mark) {
            true => text.to_owned(),
            false => format!("{text} {mark}"),
        }
    }
}

pub(super) struct Client {
    pub(super) user: u64,
    pub(super) id: u64,
    pub(super) name: String,
}

pub(super) struct Conversation {
    pub(super) id: u64,
    pub(super) owner: Owner,
    pub(super) workspace: String,
    pub(super) agent: String,
    pub(super) title: String,
    /// Role and text.
    pub(super) messages: Vec<(&'static str, String)>,
    pub(super) created: String,
    pub(super) active: String,
}

#[derive(Clone)]
pub(super) struct Flow {
    pub(super) id: u64,
    pub(super) owner: Owner,
    pub(super) name: String,
    pub(super) category: String,
    pub(super) description: String,
    pub(super) thumbnail: Option<String>,
    pub(super) is_template: bool,
    pub(super) flow: Value,
    pub(super) created: String,
    pub(super) updated: String,
}

pub(super) struct Meeting {
    pub(super) number: u64,
    pub(super) owner: Owner,
    pub(super) title: String,
    pub(super) created: String,
}

pub(super) struct Link {
    pub(super) id: u64,
    pub(super) owner: Owner,
    pub(super) slug: String,
    pub(super) account: String,
    pub(super) name: String,
    pub(super) status: String,
}

/// An agent's settings for a user and client.
pub(super) struct Config {
    pub(super) owner: Owner,
    pub(super) slug: String,
    pub(super) name: String,
}

/// A connector's settings for a user and client.
pub(super) struct Setting {
    pub(super) owner: Owner,
    pub(super) slug: String,
    pub(super) status: String,
    pub(super) config: Value,
    pub(super) custom_name: String,
}

/// What was answered to whoever paid first with a request id.
#[derive(Clone)]
pub(super) struct Paid {
    pub(super) owner: Owner,
    pub(super) answer: Value,
}

pub(super) struct Store {
    pub(super) clients: Vec<Client>,
    pub(super) conversations: Vec<Conversation>,
    pub(super) flows: Vec<Flow>,
    pub(super) templates: Templates,
    pub(super) runs: Vec<Run>,
    pub(super) meetings: Vec<Meeting>,
    pub(super) links: Vec<Link>,
    pub(super) configs: Vec<Config>,
    pub(super) settings: Vec<Setting>,
    /// By request id alone, whoever sends it.
    pub(super) messages_paid: HashMap<String, Paid>,
    pub(super) spent: HashMap<String, Paid>,
    /// What users have left to spend, of those who have spent.
    pub(super) credits: HashMap<u64, u64>,
    ticks: u64,
}

impl Default for Store {
    fn default() -> Self {
        let mut store = Self::empty();
        seed::fill(&mut store);
        store
    }
}

/// The id that a new object gets.
pub(super) fn next_id(ids: impl Iterator<Item = u64>) -> u64 {
    ids.max().unwrap_or(0) + 1
}

impl Store {
    fn empty() -> Self {
        Self {
            clients: Vec::new(),
            conversations: Vec::new(),
            flows: Vec::new(),
            templates: Templates::default(),
            runs: Vec::new(),
            meetings: Vec::new(),
            links: Vec::new(),
            configs: Vec::new(),
            settings: Vec::new(),
            messages_paid: HashMap::new(),
            spent: HashMap::new(),
            credits: HashMap::new(),
            ticks: 0,
        }
    }

    /// A number that was not given before.
    pub(super) fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }

    /// A time that is later than all before; the same in every run.
    pub(super) fn now(&mut self) -> String {
        let t = self.tick();
        let (hours, minutes, seconds) = (t / 3600 % 24, t / 60 % 60, t % 60);
        format!("2026-01-05 {hours:02}:{minutes:02}:{seconds:02}")
    }

    pub(super) fn owner_of(&self, client: u64) -> Option<u64> {
        let row = self.clients.iter().find(|row| row.id == client)?;
        Some(row.user)
    }

    pub(super) fn clients_of(&self, user: u64) -> impl Iterator<Item = &Client> {
        self.clients.iter().filter(move |row| row.user == user)
    }

    pub(super) fn add_client(&mut self, user: u64, name: &str) -> u64 {
        let id = next_id(self.clients.iter().map(|row| row.id));
        let name = name.to_owned();
        self.clients.push(Client { user, id, name });
        id
    }

    /// With all that hangs on it; the ids are free again.
    pub(super) fn delete_client(&mut self, client: u64) {
        let kept = |owner: Owner| owner.client != Some(client);
        self.clients.retain(|row| row.id != client);
        self.conversations.retain(|row| kept(row.owner));
        self.flows.retain(|row| kept(row.owner));
        self.templates.keep(kept);
        self.links.retain(|row| kept(row.owner));
    }

    pub(super) fn add_conversation(
        &mut self,
        owner: Owner,
        workspace: &str,
        agent: &str,
        title: Option<&str>,
    ) -> usize {
        let id = next_id(self.conversations.iter().map(|row| row.id));
        let now = self.now();
        let title = title.unwrap_or("New conversation");
        self.conversations.push(Conversation {
            id,
            owner,
            workspace: workspace.to_owned(),
            agent: agent.to_owned(),
            title: owner.marked(title),
            messages: Vec::new(),
            created: now.clone(),
            active: now,
        });
        self.conversations.len() - 1
    }

    pub(super) fn add_flow(&mut self, owner: Owner, name: &str, flow: Value) -> &mut Flow {
        let mut row = self.new_flow(owner, name, flow);
        row.id = next_id(self.flows.iter().map(|row| row.id));
        let at = self.flows.len();
        self.flows.push(row);
        &mut self.flows[at]
    }

    pub(super) fn add_template(&mut self, owner: Owner, name: &str, flow: Value) -> &mut Flow {
        let row = self.new_flow(owner, name, flow);
        self.templates.add(row)
    }

    /// One without an id.
    fn new_flow(&mut self, owner: Owner, name: &str, flow: Value) -> Flow {
        let now = self.now();
        Flow {
            id: 0,
            owner,
            name: owner.marked(name),
            category: "Custom".to_owned(),
            description: String::new(),
            thumbnail: None,
            is_template: false,
            flow,
            created: now.clone(),
            updated: now,
        }
    }

    pub(super) fn add_meeting(&mut self, owner: Owner, title: &str) -> String {
        let number = next_id(self.meetings.iter().map(|row| row.number));
        let created = self.now();
        self.meetings.push(Meeting {
            number,
            owner,
            title: owner.marked(title),
            created,
        });
        format!("m-{number}")
    }

    pub(super) fn add_link(&mut self, owner: Owner, slug: &str, account: &str, name: &str) -> u64 {
        let id = next_id(self.links.iter().map(|row| row.id));
        self.links.push(Link {
            id,
            owner,
            slug: slug.to_owned(),
            account: account.to_owned(),
            name: owner.marked(name),
            status: "connected".to_owned(),
        });
        id
    }

    /// One for each user, client and agent: a second replaces the first.
    pub(super) fn set_config(&mut self, owner: Owner, slug: &str, name: &str) {
        self.configs
            .retain(|row| (row.owner, row.slug.as_str()) != (owner, slug));
        self.configs.push(Config {
            owner,
            slug: slug.to_owned(),
            name: owner.marked(name),
        });
    }
}

impl Link {
    /// As `/api/client_connectors` shows it.
    pub(super) fn row(&self) -> Value {
        json!({
            "id": self.id, "client_id": self.owner.client, "connector_slug": self.slug,
            "account_id": self.account, "account_name": self.name, "status": self.status,
        })
    }
}
