//! What is compared.

/// One way to route, or none.
#[derive(Debug)]
pub struct Variant {
    /// Its name in results, and in `--only`.
    pub name: &'static str,
    /// Its name in tables.
    pub label: &'static str,
    pub front: Front,
    pub sidecar: Option<Sidecar>,
    pub duty: Duty,
    /// Measured at every size of body, and not only at the common one.
    pub all_sizes: bool,
}

/// Where clients connect.
#[derive(Clone, Copy, Debug)]
pub enum Front {
    /// Envoy with these filters (`configs/NAME.yaml`), and the filter's own configuration, if any
    /// (`configs/pointsman/NAME.json`).
    Envoy { filters: &'static str, configuration: Option<&'static str> },
    /// The sidecar itself.
    Sidecar,
}

/// A process next to Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sidecar {
    /// `bench/ext-proc`, in this mode.
    ExtProc(&'static str),
    /// `bench/sidecars/minilm.py`.
    MiniLm,
    /// `pointsman serve`.
    ControlPlane,
    /// LiteLLM's proxy.
    LiteLlm,
}

/// What a variant must be seen to do before it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Everything goes to the strong target.
    Passes,
    /// Everything goes to the cheap target.
    Routes,
    /// Everything goes to the strong target, and a response header names the target decided on.
    Observes,
    /// An easy prompt goes to the cheap target, a hard one to the strong.
    Decides,
    /// The same, and the body names the target's model.
    Rewrites,
    /// The same, and the body is whatever the proxy makes of it.
    Reissues,
}

const fn pointsman(
    name: &'static str,
    label: &'static str,
    configuration: &'static str,
    duty: Duty,
) -> Variant {
    let front = Front::Envoy { filters: "pointsman", configuration: Some(configuration) };
    Variant { name, label, front, sidecar: None, duty, all_sizes: false }
}

const fn ext_proc(
    name: &'static str,
    label: &'static str,
    sidecar: Sidecar,
    duty: Duty,
) -> Variant {
    let front = Front::Envoy { filters: "ext-proc", configuration: None };
    Variant { name, label, front, sidecar: Some(sidecar), duty, all_sizes: false }
}

/// The variant that all others are compared with.
pub const REFERENCE: &str = "none";

/// All variants, the reference first.
pub const VARIANTS: &[Variant] = &[
    Variant {
        name: REFERENCE,
        label: "no filter",
        front: Front::Envoy { filters: "none", configuration: None },
        sidecar: None,
        duty: Duty::Passes,
        all_sizes: true,
    },
    Variant {
        name: "least",
        label: "least wasm filter (decides nothing)",
        front: Front::Envoy { filters: "least", configuration: None },
        sidecar: None,
        duty: Duty::Routes,
        all_sizes: true,
    },
    Variant {
        all_sizes: true,
        ..pointsman("route", "**Pointsman**, route", "route", Duty::Decides)
    },
    pointsman("observe", "**Pointsman**, observe", "observe", Duty::Observes),
    pointsman("rewrite", "**Pointsman**, rewrites the model", "rewrite", Duty::Rewrites),
    pointsman("sticky", "**Pointsman**, conversations", "sticky", Duty::Decides),
    Variant {
        front: Front::Envoy { filters: "pointsman-control", configuration: Some("sticky-control") },
        sidecar: Some(Sidecar::ControlPlane),
        ..pointsman("control", "**Pointsman**, conversations, control plane", "", Duty::Decides)
    },
    Variant {
        name: "lua",
        label: "Lua, hand rules",
        front: Front::Envoy { filters: "lua", configuration: None },
        sidecar: None,
        duty: Duty::Decides,
        all_sizes: false,
    },
    ext_proc(
        "ext-proc-echo",
        "ext_proc, echo (decides nothing)",
        Sidecar::ExtProc("echo"),
        Duty::Routes,
    ),
    ext_proc(
        "ext-proc-core",
        "ext_proc, Pointsman's decision natively",
        Sidecar::ExtProc("core"),
        Duty::Decides,
    ),
    Variant {
        front: Front::Envoy { filters: "native", configuration: Some("route") },
        ..pointsman(
            "native",
            "**Pointsman** as a dynamic module (experiment)",
            "route",
            Duty::Decides,
        )
    },
    ext_proc("minilm", "ext_proc, MiniLM similarity", Sidecar::MiniLm, Duty::Decides),
    Variant {
        name: "litellm",
        label: "LiteLLM proxy, complexity router (no Envoy)",
        front: Front::Sidecar,
        sidecar: Some(Sidecar::LiteLlm),
        duty: Duty::Reissues,
        all_sizes: false,
    },
];

/// The variant of that name.
pub fn named(name: &str) -> Option<&'static Variant> {
    VARIANTS.iter().find(|variant| variant.name == name)
}
