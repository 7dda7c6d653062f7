//! Policies: how rules and classifier combine, the rules, the canary.

use serde_json::Value;

use super::node::{Errors, Fields, Node};
use super::read::field_of;
use super::{Canary, DEFAULT_RULES, MAX_POLICIES, MAX_RULES, REGEX_BYTES, Target};
use crate::features::SCHEMA;
use crate::pattern::{Pattern, text_folded};
use crate::policy::rules::{Condition, Matcher, Range, Rule};
use crate::policy::{Order, Policy, Preset};
use crate::prompt::Role;

/// `policy.order` and what it means; the band is read apart.
pub(super) const ORDERS: [(&str, Order); 4] = [
    ("rules_first", Order::RulesFirst),
    ("classifier_only", Order::ClassifierOnly),
    ("rules_when_uncertain", Order::RulesWhenUncertain { band: DEFAULT_BAND }),
    ("rules_only", Order::RulesOnly),
];
/// How near the threshold a score is uncertain unless said otherwise.
pub(super) const DEFAULT_BAND: f32 = 0.05;
/// Conditions of a rule in addition to the names of features.
pub(super) const CONDITIONS: [&str; 8] =
    ["user", "system", "assistant", "tool", "model", "path", "headers", "prompt_tokens"];
pub(super) const TOOL_LOOP: &str = "tool_loop";
pub(super) const HOUSEKEEPING: &str = "housekeeping";
pub(super) const BOUNDS: [&str; 4] = ["gt", "gte", "lt", "lte"];
pub(super) const MATCHES: [&str; 4] = ["present", "equals", "contains", "regex"];
/// Most words of a `contains`, and longest word in bytes.
pub(super) const MAX_WORDS: usize = 64;
pub(super) const WORD_BYTES: usize = 256;
/// Targets that a rule may name without knowing the configuration's names.
pub(super) const CHEAPEST: &str = "cheapest";
pub(super) const STRONGEST: &str = "strongest";

/// The fields of `policy`.
const MAIN_FIELDS: [&str; 7] =
    ["objective", "order", "uncertain_band", "preset", "rules", "classifier", "bandit"];

pub(super) fn read_policies(
    root: &Fields,
    targets: &[Target],
    names: &mut Vec<String>,
    errors: &mut Errors,
) -> Vec<Policy> {
    let mut reader = Reader { targets, names };
    let main = root.field("policy").and_then(|node| node.object(&MAIN_FIELDS, errors));
    let main = reader.policy(String::new(), main.as_ref(), &Policy::default(), errors);
    let mut policies = vec![main.clone()];
    let Some(node) = root.field("policies") else { return policies };
    let Some(named) = node.object_value(errors) else { return policies };
    if named.len() > MAX_POLICIES {
        node.refuse(&format!("must have at most {MAX_POLICIES} policies"), errors);
    }
    for (name, value) in named {
        let node = Node { path: format!("policies.{name}"), value };
        let as_value = Value::from(name.as_str());
        Node { path: node.path.clone(), value: &as_value }.name(errors);
        let known = ["order", "uncertain_band", "preset", "rules", "thresholds"];
        let Some(fields) = node.object(&known, errors) else { continue };
        let mut policy = reader.policy(name.clone(), Some(&fields), &main, errors);
        policy.thresholds = read_thresholds(&fields, targets, errors);
        policies.push(policy);
    }
    policies
}

fn read_thresholds(fields: &Fields, targets: &[Target], errors: &mut Errors) -> Vec<Option<f32>> {
    let mut thresholds = vec![None; targets.len()];
    let Some(node) = fields.field("thresholds") else { return thresholds };
    let names: Vec<&str> =
        targets.iter().rev().skip(1).rev().map(|target| target.name.as_str()).collect();
    let Some(fields) = node.object(&names, errors) else { return thresholds };
    for (threshold, name) in thresholds.iter_mut().zip(names) {
        *threshold = fields.field(name).and_then(|node| node.share(errors));
    }
    thresholds
}

pub(super) fn read_canary(node: Node, policies: &[Policy], errors: &mut Errors) -> Option<Canary> {
    let fields = node.object(&["policy", "share"], errors)?;
    let policy = fields.required("policy", errors).and_then(|node| {
        let name = node.text(errors)?;
        let position = policies.iter().skip(1).position(|policy| policy.name == name);
        let names: Vec<&str> = policies.iter().skip(1).map(|policy| policy.name.as_str()).collect();
        let rule = format!("must name one of policies: {}", names.join(", "));
        node.checked(position.map(|position| position + 1), &rule, errors)
    });
    let share = fields.required("share", errors).and_then(|node| node.share(errors));
    Some(Canary { policy: policy?, share: share? })
}

struct Reader<'r> {
    targets: &'r [Target],
    names: &'r mut Vec<String>,
}

impl Reader<'_> {
    /// A policy that takes what it does not say from another.
    fn policy(
        &mut self,
        name: String,
        fields: Option<&Fields>,
        other: &Policy,
        errors: &mut Errors,
    ) -> Policy {
        let order = field_of(fields, "order").and_then(|node| node.one_of(&ORDERS, errors));
        let mut order = order.unwrap_or(other.order);
        if let Some(node) = field_of(fields, "uncertain_band") {
            let given = node.share(errors);
            match &mut order {
                Order::RulesWhenUncertain { band } => *band = given.unwrap_or(*band),
                _ => node.refuse("needs order: rules_when_uncertain", errors),
            }
        }
        let preset =
            field_of(fields, "preset").and_then(|node| node.one_of(&Preset::NAMES, errors));
        let rules = match field_of(fields, "rules") {
            Some(node) => self.rules(node, errors),
            None => other.rules.clone(),
        };
        if rules.is_empty() && matches!(order, Order::RulesOnly | Order::RulesWhenUncertain { .. })
        {
            let path =
                if name.is_empty() { "policy".to_owned() } else { format!("policies.{name}") };
            errors.add(&format!("{path}.rules"), "", "is required by this order");
        }
        Policy { name, order, preset, rules, thresholds: Vec::new() }
    }

    fn rules(&mut self, node: Node, errors: &mut Errors) -> Vec<Rule> {
        if node.value == "default" {
            // The shipped rules are tested; an error here would name their path.
            let value: Value = serde_json::from_slice(DEFAULT_RULES.as_bytes()).unwrap_or_default();
            return self.rules(Node { path: node.path, value: &value }, errors);
        }
        if node.value.is_string() {
            node.refuse("must be an array of rules, or \"default\"", errors);
            return Vec::new();
        }
        let mut rules: Vec<Rule> = Vec::new();
        for node in node.list(MAX_RULES, errors) {
            let Some(rule) = self.rule(&node, errors) else { continue };
            if rules.iter().any(|other| other.name == rule.name) {
                errors.add(&format!("{}.name", node.path), "", "must be unique");
            }
            rules.push(rule);
        }
        rules
    }

    fn rule(&mut self, node: &Node, errors: &mut Errors) -> Option<Rule> {
        let fields = node.object(&["name", "when", "target"], errors)?;
        let name = fields.required("name", errors).and_then(|node| node.name(errors));
        let target = fields.required("target", errors).and_then(|node| match node.value.as_str() {
            Some(CHEAPEST) => Some(0),
            Some(STRONGEST) => Some(self.targets.len().saturating_sub(1)),
            _ => node.target(self.targets, errors),
        });
        let when = fields.required("when", errors).map(|node| conditions(&node, errors));
        let name = name?;
        let known = self.names.iter().position(|other| *other == name);
        let position = known.unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        Some(Rule { name: u16::try_from(position).ok()?, target: target?, when: when? })
    }
}

fn conditions(node: &Node, errors: &mut Errors) -> Vec<Condition> {
    let Some(map) = node.object_value(errors) else { return Vec::new() };
    let mut conditions = Vec::new();
    for (name, value) in map {
        let node = Node { path: format!("{}.{name}", node.path), value };
        match name.as_str() {
            "headers" => {
                let Some(headers) = node.object_value(errors) else { continue };
                for (name, value) in headers {
                    let as_value = Value::from(name.as_str());
                    let path = format!("{}.{name}", node.path);
                    let name = Node { path: path.clone(), value: &as_value }.header_name(errors);
                    let matcher = matcher(Node { path, value }, errors);
                    conditions.extend(name.zip(matcher).map(|(n, m)| Condition::Header(n, m)));
                }
            }
            _ => conditions.extend(condition(name, node, errors)),
        }
    }
    conditions
}

fn condition(name: &str, node: Node, errors: &mut Errors) -> Option<Condition> {
    Some(match name {
        "user" => Condition::Text(Role::User, matcher(node, errors)?),
        "system" => Condition::Text(Role::System, matcher(node, errors)?),
        "assistant" => Condition::Text(Role::Assistant, matcher(node, errors)?),
        "tool" => Condition::Text(Role::Tool, matcher(node, errors)?),
        "model" => Condition::Model(matcher(node, errors)?),
        "path" => Condition::Path(matcher(node, errors)?),
        "prompt_tokens" => Condition::PromptTokens(range(&node, errors)?),
        TOOL_LOOP => Condition::ToolLoop(node.boolean(errors)?),
        HOUSEKEEPING => Condition::Housekeeping(node.boolean(errors)?),
        _ => {
            let Some(slot) = SCHEMA.iter().position(|feature| feature.name == name) else {
                let others = CONDITIONS.join(", ");
                let rule = format!(
                    "unknown condition; known are {others}, {TOOL_LOOP}, {HOUSEKEEPING} and the features that \
                     `pointsman features` prints"
                );
                node.refuse(&rule, errors);
                return None;
            };
            let compressed = SCHEMA.get(slot).is_some_and(|feature| feature.range.1 > 1.0);
            let range = match node.value.as_bool() {
                Some(true) => Range { gt: Some(0.0), ..Range::default() },
                Some(false) => Range { lte: Some(0.0), ..Range::default() },
                None => range(&node, errors)?,
            };
            // Bounds are counts, as people write them; features are ln(1 + count).
            Condition::Feature(slot, if compressed { range.map(libm::log1pf) } else { range })
        }
    })
}

fn range(node: &Node, errors: &mut Errors) -> Option<Range> {
    let fields = node.object(&BOUNDS, errors)?;
    if fields.map.is_empty() {
        node.refuse("must have a bound: gt, gte, lt or lte", errors);
    }
    let mut bound =
        |name| fields.field(name).and_then(|node| node.number(0.0..=1e9, errors)).map(|n| n as f32);
    Some(Range { gt: bound("gt"), gte: bound("gte"), lt: bound("lt"), lte: bound("lte") })
}

fn matcher(node: Node, errors: &mut Errors) -> Option<Matcher> {
    let fields = node.object(&MATCHES, errors)?;
    if fields.map.is_empty() {
        node.refuse("must have a condition: present, equals, contains or regex", errors);
    }
    let present = fields.field("present").and_then(|node| node.boolean(errors));
    let equals = fields.field("equals").and_then(|node| node.text(errors)).map(str::to_owned);
    let contains = fields.field("contains").map(|node| words(node, errors)).unwrap_or_default();
    let regex = fields.field("regex").and_then(|node| {
        let pattern = node.text(errors)?;
        if pattern.len() > REGEX_BYTES {
            node.refuse(&format!("must be at most {REGEX_BYTES} bytes"), errors);
            return None;
        }
        Pattern::new(pattern)
            .map_err(|error| node.refuse(&format!("invalid pattern: {error}"), errors))
            .ok()
    });
    Some(Matcher { present, equals, contains, regex })
}

fn words(node: Node, errors: &mut Errors) -> Vec<String> {
    let nodes = if node.value.is_string() { vec![node] } else { node.list(MAX_WORDS, errors) };
    let word = |node: &Node| {
        let word = node.text(errors)?;
        let valid = (1..=WORD_BYTES).contains(&word.len());
        let rule = format!("must be 1 to {WORD_BYTES} bytes");
        node.checked(valid.then(|| text_folded(word)), &rule, errors)
    };
    nodes.iter().filter_map(word).collect()
}
