//! Answers of the embedded mock, and why it answers.

use super::ga4;
use super::mapping::{Answer, made_up};
use super::{Call, Failure, Outcome, finish};
use camarad_policies::operation::{Connector, Operation};
use camarad_policies::record::Source;
use camarad_policies::route::MockReason;
use serde_json::{Value, json};

/// Why the mock answers: `gateway` for the caller, and the failure for the record.
pub(super) type Because = (Value, Option<Failure>);

pub(super) fn because(reason: MockReason) -> Because {
    let failed = |failure: Failure| {
        (
            json!({"enabled": true, "error": failure.code()}),
            Some(failure),
        )
    };
    match reason {
        MockReason::Disabled => (json!({"enabled": false, "reason": "disabled"}), None),
        MockReason::MockOnly => (json!({"enabled": true, "reason": "mock_only"}), None),
        MockReason::NoAccount => failed(Failure::NotConnected),
        MockReason::NoCredential => failed(Failure::Unauthorized),
    }
}

impl Call<'_> {
    /// The mock's answer, with the property that the app would have taken.
    pub(super) fn mock(mut self, (gateway, failure): Because) -> Outcome {
        self.take_stored_property();
        let answer = match self.operation {
            Operation::Ga4Status => ga4::stored_status(self.stored()),
            operation => made_up(operation, self.endpoint, &self.params, &self.stamp),
        };
        finish(200, answer, Source::Mock, gateway, failure)
    }

    /// Takes the property that the app has stored, where the caller named none.
    pub(super) fn take_stored_property(&mut self) {
        let is_open = self.operation.connector() == Connector::Ga4 && !self.params.account_named;
        let stored = self.stored().and_then(|stored| stored.property.clone());
        if let (true, Some(property)) = (is_open, stored) {
            self.params.account = property;
        }
    }

    /// The property that was chosen for the client itself.
    pub(super) fn clients_own(&self) -> Option<&str> {
        self.stored()?.clients_own()
    }

    /// Coolbits' status, with the client's own property where it has one; what is selected
    /// for the user is shown where the caller may read it.
    pub(super) fn own_status(&self, mut answer: Answer) -> Answer {
        let selected = answer.get("propertyId").and_then(Value::as_str);
        let shown = match self.clients_own() {
            Some(own) => Some(own.to_owned()),
            None => selected
                .filter(|id| (self.hints.may_select)(id))
                .map(str::to_owned),
        };
        ga4::say_selected(&mut answer, shown.as_deref());
        answer
    }

    /// What the app has stored, if the caller may see what it names.
    fn stored(&self) -> Option<&ga4::Stored> {
        let stored = self.hints.stored.as_ref()?;
        let may_see = |property: &String| (self.hints.may_read)(property);
        stored.property.iter().all(may_see).then_some(stored)
    }
}
