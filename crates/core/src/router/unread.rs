//! Requests whose body cannot be read: what can be decided all the same.

use super::Router;
use crate::api::ApiFormat;
use crate::decision::Decision;
use crate::policy::{Order, RequestContext};
use crate::reason::Reason;

impl Router {
    /// Decides without a prompt: by the client's header, by where its conversation went, by rules
    /// that look at headers and path only. What is still open then goes to the default target, for
    /// `reason`.
    pub fn decide_unread(
        &self,
        api: ApiFormat,
        reason: Reason,
        facts: &RequestContext,
    ) -> Decision {
        let targets = &self.config.targets;
        let up = |position: &usize| {
            let serves = targets.get(*position).is_some_and(|target| target.serves(api));
            serves && !facts.unavailable.contains(*position)
        };
        // The body may hold anything, so nobody is sent where not everything is taken.
        let takes_all = |position: &usize| {
            up(position) && targets.get(*position).is_some_and(|target| target.lacks.is_empty())
        };
        if let Some(target) = self.asked_for(facts).filter(takes_all) {
            return Decision::fallback(target, Reason::ClientHeader);
        }
        let policy = self.config.policies.get(facts.policy);
        let rule = policy.filter(|policy| policy.order != Order::ClassifierOnly);
        let rule = rule.and_then(|policy| {
            policy.rules.iter().find(|rule| takes_all(&rule.target) && rule.holds_unread(facts))
        });
        let before = facts.previous.filter(takes_all);
        let decision = match (rule, before) {
            (Some(rule), None) => Decision::fallback(rule.target, Reason::Rule(rule.name)),
            (Some(rule), Some(before)) if rule.target > before => {
                Decision::fallback(rule.target, Reason::Rule(rule.name))
            }
            (_, Some(before)) => Decision::fallback(before, Reason::Conversation),
            (None, None) => Decision::fallback(self.default_or(up), reason),
        };
        Decision { policy: facts.policy, ..decision }
    }
}
