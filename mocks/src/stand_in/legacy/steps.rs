//! What a run does at each node, in the two shapes in which the app tells it
//! (contract, section 5): `steps[]` and `results[]`.
//!
//! A pure function of the flow, its owner, the client, the stored settings and
//! what Coolbits answered before. Nobody is asked for anything here.

use super::errand::Fetched;
use super::fetch::{self, Read, Want};
use super::figures::{self, Figures};
use super::store::{Owner, Setting};
use camarad_policies::flow::{Flow, Kind, Node};
use serde_json::{Value, json};

/// For whom a flow is run.
pub(super) struct Whose<'a> {
    /// Whose flow it is: every text says so.
    pub(super) owner: Owner,
    /// Under which client it is run: whose settings and figures count.
    pub(super) scope: Owner,
    pub(super) settings: &'a [Setting],
    pub(super) fetched: &'a Fetched,
}

/// What one node did.
pub(super) struct Step {
    id: Value,
    kind: String,
    label: String,
    pub(super) warning: bool,
    input: String,
    output: String,
    fail_reason: Option<&'static str>,
    pub(super) duration_ms: u64,
    data: Value,
}

/// Every node in reach, in the app's order.
pub(super) fn walk(flow: &Flow, whose: &Whose) -> Vec<Step> {
    let mut known = Known::default();
    let order = flow.order().into_iter();
    order
        .filter_map(|at| flow.nodes.get(at))
        .map(|node| known.run(node, whose))
        .collect()
}

impl Step {
    /// As `steps[]` has it; `number` counts from 1.
    pub(super) fn step(&self, number: usize) -> Value {
        let mut step = self.both(number);
        step["node_label"] = json!(self.label);
        step["status"] = json!(if self.warning { "warning" } else { "success" });
        if self.kind == Kind::Connector.name() {
            step["kpis"] = self.data["kpis"].clone();
        }
        step
    }

    /// As `results[]` has it; `number` counts from 1.
    pub(super) fn result(&self, number: usize) -> Value {
        let mut result = self.both(number);
        result["label"] = json!(self.label);
        result["status"] = json!(if self.warning { "warning" } else { "ok" });
        result["data"] = self.data.clone();
        result
    }

    fn both(&self, number: usize) -> Value {
        json!({
            "step": number, "node_id": self.id, "type": self.kind, "input": self.input,
            "output": self.output, "fail_reason": self.fail_reason,
            "duration_ms": self.duration_ms,
        })
    }

    fn new(node: &Node, input: String, output: String, data: Value) -> Self {
        let duration_ms = match node.kind {
            Kind::Connector => 5,
            Kind::Agent => 8,
            _ => 1,
        };
        Self {
            // The id as the flow has it: a number stays one.
            id: serde_json::from_str(&node.key).unwrap_or_else(|_| json!(node.id)),
            kind: node.kind.name().to_owned(),
            label: node.label.clone(),
            warning: false,
            input,
            output,
            fail_reason: None,
            duration_ms,
            data,
        }
    }
}

/// What the nodes before have brought.
#[derive(Default)]
struct Known {
    figures: Figures,
    connectors: Vec<String>,
    last_agent: String,
}

impl Known {
    fn run(&mut self, node: &Node, whose: &Whose) -> Step {
        match &node.kind {
            Kind::Trigger => trigger(node, whose),
            Kind::Connector => self.connector(node, whose),
            Kind::Agent => self.agent(node, whose),
            Kind::Condition => self.condition(node, whose),
            Kind::Output => self.output(node, whose),
            Kind::Other(_) => {
                let says = whose.owner.marked(&format!("Note: {}", node.label));
                Step::new(node, String::new(), says.clone(), json!({"message": says}))
            }
        }
    }

    fn connector(&mut self, node: &Node, whose: &Whose) -> Step {
        let slug = node.slug.clone().unwrap_or_default();
        let want = Want::of(node, whose.scope, whose.settings);
        let read = want
            .as_ref()
            .and_then(|want| whose.fetched.nodes.get(&(node.key.clone(), want.clone())));
        let failed = fetch::is_to_fail(node) || matches!(read, Some(Read::Failed));
        let (figures, mut data, source) = match (want, read) {
            (None, _) => (figures::constants(&slug), json!({}), "mock"),
            _ if failed => (figures::constants(&slug), json!({}), "mock"),
            (Some(want), Some(Read::Figures(figures, account))) => {
                (figures.clone(), want.told(account), "coolbits")
            }
            (Some(want), _) => {
                let client = whose.scope.client.unwrap_or(0);
                (want.made_up(client), want.told(want.account()), "mock")
            }
        };
        let count = figures.len();
        let says = whose.owner.marked(&match failed {
            true => format!("{} could not be read", node.label),
            false => format!("Read {count} figures of {}", node.label),
        });
        data["connector"] = json!(slug);
        data["source"] = json!(source);
        data["kpis"] = figures::kpis(&figures);
        data["metric_values"] = json!(figures);
        data["out"] = json!(says);
        let input = ["account_id", "property_id"].map(|name| data[name].as_str());
        let input = input.into_iter().flatten().next().unwrap_or_default();
        let mut step = Step::new(node, input.to_owned(), says, data);
        step.warning = failed;
        step.fail_reason = failed.then_some("Fetch failed");
        // The last connector that has a metric of this name is the one that is asked.
        self.figures.extend(figures);
        self.connectors.push(slug);
        step
    }

    fn agent(&mut self, node: &Node, whose: &Whose) -> Step {
        let agent = node.slug.as_deref().unwrap_or(&node.label);
        let read = self.connectors.join(", ");
        let analysis = match self.connectors.is_empty() {
            true => format!("{} had no figures to look at", node.label),
            false => format!(
                "{} looked at {} figures of {read}",
                node.label,
                self.figures.len()
            ),
        };
        let analysis = whose.owner.marked(&analysis);
        let recommendation = whose.owner.marked(match self.connectors.len() {
            0 => "Connect an account first",
            1 => "Stay with what pays, and look again next week",
            _ => "Compare the sources before money moves",
        });
        self.last_agent = analysis.clone();
        let data = json!({
            "agent": agent, "analysis": analysis, "recommendation": recommendation,
            "input_connectors": self.connectors,
        });
        Step::new(node, read, analysis, data)
    }

    /// One without configuration compares nothing: 0 > 0.
    fn condition(&self, node: &Node, whose: &Whose) -> Step {
        let named = |names: &[&str], default: &str| {
            node.setting(names).unwrap_or_else(|| default.to_owned())
        };
        let metric = named(&["condition_metric", "metric"], "");
        let operator = named(&["condition_operator", "operator"], ">");
        let threshold = named(&["condition_value", "value"], "0");
        let threshold: f64 = threshold.parse().unwrap_or(0.0);
        let actual = self.figures.get(&metric.to_lowercase());
        let actual = actual.and_then(Value::as_f64).unwrap_or(0.0);
        let holds = match operator.as_str() {
            "<" => actual < threshold,
            "<=" => actual <= threshold,
            ">" => actual > threshold,
            ">=" => actual >= threshold,
            "==" | "=" => actual == threshold,
            "!=" => actual != threshold,
            _ => false,
        };
        let (branch, label) = match holds {
            true => ("yes", named(&["condition_then_label", "thenLabel"], "Yes")),
            false => ("no", named(&["condition_else_label", "elseLabel"], "No")),
        };
        let input = format!("{metric} {operator} {threshold}");
        let says = whose.owner.marked(&format!("{input}: {label}"));
        let data = json!({
            "evaluated": holds, "metric": metric, "operator": operator, "threshold": threshold,
            "actual_value": actual, "branch": branch, "branch_label": label,
        });
        let mut step = Step::new(node, input, says, data);
        step.warning = !holds;
        step
    }

    fn output(&self, node: &Node, whose: &Whose) -> Step {
        let named = |names: &[&str], default: &str| {
            node.setting(names).unwrap_or_else(|| default.to_owned())
        };
        const LAST: &str = "{{last_agent_response}}";
        let template = named(&["output_template", "template"], LAST);
        let says = template.replace(LAST, &self.last_agent);
        let says = whose.owner.marked(says.trim());
        let destination = named(&["output_destination", "destination"], "dashboard");
        let message = whose.owner.marked(&format!("Sent to {destination}"));
        let data = json!({
            "output": says, "format": named(&["output_format", "format"], "text"),
            "destination": destination, "message": message,
        });
        Step::new(node, self.last_agent.clone(), says, data)
    }
}

fn trigger(node: &Node, whose: &Whose) -> Step {
    let kind = node.setting(&["trigger_type"]);
    let kind = kind.unwrap_or_else(|| "manual".to_owned());
    let says = node.setting(&["trigger_description"]);
    let says = says.unwrap_or_else(|| format!("{} began", node.label));
    let says = whose.owner.marked(&says);
    let data = json!({"triggered": true, "trigger_type": kind, "message": says});
    Step::new(node, kind.clone(), says, data)
}
