//! A request whose body cannot be read: what its headers and its conversation say.

use crate::control_plane::BanditRecord;
use crate::decision::Decision;
use crate::policy::RequestContext;
use crate::prompt::Prompt;
use crate::reason::Reason;
use crate::scope::InScope;

use super::body::{self, Read};
use super::origin::{self, Origin};
use super::{Asked, Decided, Exchange, Host, Worker, memory};

/// Decides for a reason that the body could not be read for.
pub(super) fn decide(
    worker: &Worker,
    host: &impl Host,
    scope: InScope,
    origin: Origin,
    reason: Reason,
) -> Decision {
    let (router, config) = (&worker.router, worker.config());
    let header = |name: &str| host.request_header(name);
    if let Some(owner) = origin.state {
        return router.follow(owner, Some(scope.format));
    }
    let mut context = RequestContext {
        header: &header,
        policy: scope.policy,
        identity: origin.identity,
        history: origin.history,
        unavailable: worker.health.unavailable(host.since_epoch().as_secs()),
        ..RequestContext::default()
    };
    // Without a prompt, only a session's own name can tell which conversation it is.
    let conversation = config
        .sticky
        .as_ref()
        .and_then(|sticky| Some((sticky, router.conversation(&Prompt::default(), &context)?)));
    context.previous =
        conversation.and_then(|(sticky, key)| memory::recall(host, sticky, key, &config.targets));
    router.decide_unread(scope.format, reason, &context)
}

impl Exchange {
    /// Decides on a request whose headers show that its body cannot be read.
    pub(super) fn settle_unread(
        &mut self,
        worker: &Worker,
        host: &impl Host,
        scope: InScope,
        reason: Reason,
    ) {
        let started = host.instant();
        let identity = origin::identity(worker.config(), host);
        self.asked = Some(Asked { format: scope.format, caller: identity.caller });
        let origin = Origin { identity, ..Origin::default() };
        let decision = decide(worker, host, scope, origin, reason);
        let (id, bandit) = (worker.decision_id(host), BanditRecord::default());
        let target = worker.router.target(&decision);
        let not_rewritten = target.is_some_and(|it| body::keeps_model(host, scope, it));
        let at = host.instant();
        let decided = Decided { decision, id, mode: scope.mode, bandit, at };
        let read = Read { not_rewritten, ..Read::default() };
        self.settle(worker, host, decided, read, started);
    }
}
