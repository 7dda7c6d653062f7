//! Who asks, and whose state the request builds on.

use crate::config::Config;
use crate::identity::{Identity, IdentityHeaders};
use crate::policy::StateOwner;
use crate::provider_state::{self, NamedState};

use super::{Host, memory};

/// What headers and body say of where a request comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin {
    pub identity: Identity,
    /// What was said before is with the provider.
    pub history: bool,
    /// Whose state it builds on, if on any.
    pub state: Option<StateOwner>,
}

impl Origin {
    /// Of a request whose body begins with these bytes.
    pub fn of(config: &Config, host: &impl Host, body: &[u8]) -> Self {
        let identity = identity(config, host);
        let fields = config.sticky.as_ref().map_or(&[][..], |sticky| &sticky.fields);
        let named = NamedState::of(body, fields);
        let state = named
            .is_needed
            .then(|| memory::owner(host, identity.caller, &named.ids, &config.targets));
        let session = identity.session.or(named.session.map(|(_, session)| session));
        Origin { identity: Identity { session, ..identity }, history: named.history, state }
    }
}

/// Who sent the request at hand.
pub(super) fn identity(config: &Config, host: &impl Host) -> Identity {
    let session = config.sticky.as_ref().map_or(&[][..], |sticky| &sticky.headers);
    let look = IdentityHeaders { tenant: config.tenant_header.as_deref(), session };
    Identity::of(&|name| host.request_header(name), look)
}

/// The target that made what the path of a request names, such as a stored response; `None` when
/// it names nothing that is known.
pub(super) fn owner_by_path(config: &Config, host: &impl Host) -> Option<usize> {
    let path = host.request_header(":path")?;
    let id = provider_state::in_path(&path)?;
    let within = |prefix: &String| path.starts_with(prefix.as_bytes());
    if !config.path_prefixes.iter().any(within) {
        return None;
    }
    let caller = identity(config, host).caller;
    match memory::owner(host, caller, &[id], &config.targets) {
        StateOwner::Target(target) => Some(target),
        StateOwner::Unknown => None,
    }
}
