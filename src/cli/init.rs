//! `pointsman init`: a first `pointsman.yaml`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::gateway::{self, FILE};
use super::{BadInput, print};
use pointsman_gateway::Kind;

/// Write a first pointsman.yaml, with comments
///
/// Finds out what it can: which providers' keys are in the environment, and whether a local Ollama or
/// vLLM runs and which models it has. The file is checked before it is written.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The file; never overwritten
    #[arg(long, default_value = FILE, value_name = "FILE")]
    out: PathBuf,
    /// Model for most requests, PROVIDER/MODEL
    #[arg(long, value_name = "MODEL", requires = "strong")]
    cheap: Option<String>,
    /// Model for the rest, PROVIDER/MODEL
    #[arg(long, value_name = "MODEL", requires = "cheap")]
    strong: Option<String>,
}

/// Providers with a usual pair of models, in the order in which they are looked for. All are in the
/// table of models.
const PAIRS: [(Kind, &str, &str); 5] = [
    (Kind::OpenAi, "gpt-4o-mini", "gpt-4o"),
    (Kind::Anthropic, "claude-haiku-4-5", "claude-opus-4-5"),
    (Kind::Gemini, "gemini-2.5-flash", "gemini-2.5-pro"),
    (Kind::Mistral, "mistral-small-latest", "mistral-large-latest"),
    (Kind::Groq, "openai/gpt-oss-20b", "openai/gpt-oss-120b"),
];

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let (cheap, strong, why) = match (&args.cheap, &args.strong) {
        (Some(cheap), Some(strong)) => (cheap.clone(), strong.clone(), "as named".to_owned()),
        _ => found(),
    };
    let text = file(&cheap, &strong);
    gateway::parse(&text, "the new file")?;
    if args.out.exists() {
        let error = BadInput::new(format!("{}: there is one already", args.out.display()));
        return Err(error.hint("name another file: --out").into());
    }
    let write = |error| BadInput::new(format!("{}: {error}", args.out.display()));
    let file = std::fs::File::create_new(&args.out);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(write)?;
    report!("{cheap} and {strong}: {why}");
    report!("next: pointsman check && pointsman up");
    print(args.out.display())
}

/// Two models whose provider can be reached, and why these.
fn found() -> (String, String, String) {
    for (kind, cheap, strong) in PAIRS {
        let facts = kind.facts();
        let Some(variable) =
            facts.variable.filter(|name| std::env::var_os(name).is_some_and(|it| !it.is_empty()))
        else {
            continue;
        };
        let name = |model: &str| format!("{}/{model}", facts.name);
        return (name(cheap), name(strong), format!("{variable} is set"));
    }
    for kind in [Kind::Ollama, Kind::Vllm] {
        let facts = kind.facts();
        let Some(url) = facts.url else { continue };
        if let [first, .., last] | [first @ last] = local_models(url).as_slice() {
            let name = |model: &str| format!("{}/{model}", facts.name);
            return (name(first), name(last), format!("{url} has them"));
        }
    }
    let (kind, cheap, strong) = PAIRS[0];
    let name = |model: &str| format!("{}/{model}", kind.facts().name);
    (name(cheap), name(strong), "no provider's key was found in the environment".to_owned())
}

/// The models of a server on this machine.
fn local_models(url: &str) -> Vec<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_millis(500)))
        .proxy(None)
        .build()
        .into();
    let answer = agent.get(format!("{url}/models")).call();
    let text = answer.ok().and_then(|mut it| it.body_mut().read_to_string().ok());
    let value: Value = text.and_then(|it| serde_json::from_str(&it).ok()).unwrap_or_default();
    let models = value.get("data").and_then(Value::as_array);
    let id = |model: &Value| Some(model.get("id")?.as_str()?.to_owned());
    models.into_iter().flatten().filter_map(id).collect()
}

fn file(cheap: &str, strong: &str) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    format!(
        r#"# yaml-language-server: $schema=https://raw.githubusercontent.com/pointsman/pointsman/main/docs/pointsman.schema.json
# A deployment of Pointsman: `pointsman check`, then `pointsman up`. docs/gateway.md describes every field.

# Models that answer, cheapest first. PROVIDER/MODEL: the provider is a kind (openai, anthropic, groq, ollama …)
# whose key is in its usual variable, or one of `providers` below. Prices, context windows and what a model takes
# come from a table, as of {date}; what is written here counts before it.
targets:
- name: cheap
  model: {cheap}
- name: strong
  model: {strong}

# How sure one must be that the cheap answer is as good: economy, balanced or quality.
policy: {{preset: balanced}}

# Providers that are not where their kind usually is, or whose key is elsewhere:
# providers:
#   azure: {{kind: azure, url: "https://NAME.openai.azure.com", key: {{env: AZURE_OPENAI_API_KEY}}}}
#   local: {{kind: vllm, url: "http://127.0.0.1:8000"}}
#   openai: {{auth: passthrough}}   # clients bring their own key

# Answers kept in front of each target. Who may see whose: {{header: NAME}} that a proxy in front sets,
# credentials (clients' own) or shared.
# cache: {{tenant: credentials}}

# Decide and record, but send everything to the strongest target:
# mode: observe

listen: 127.0.0.1:10000
"#,
        date = pointsman_gateway::models_date(),
        cheap = quoted(cheap),
        strong = quoted(strong),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_in_the_table_and_makes_a_file() {
        for (kind, cheap, strong) in PAIRS {
            for model in [cheap, strong] {
                assert!(pointsman_gateway::known(kind, model).is_some(), "{model}");
            }
            let name = kind.facts().name;
            let text = file(&format!("{name}/{cheap}"), &format!("{name}/{strong}"));
            gateway::parse(&text, "").unwrap();
        }
    }

    #[test]
    fn what_is_commented_out_is_right_too() {
        let written =
            file("ollama/a", "azure/b").replace("url: \"https://NAME", "url: \"https://name");
        let begins = ["  ", "providers:", "cache:", "mode:"];
        let mut text = String::new();
        for line in written.lines() {
            let option = line
                .strip_prefix("# ")
                .filter(|it| begins.iter().any(|begin| it.starts_with(begin)));
            text.push_str(option.unwrap_or(line));
            text.push('\n');
        }
        let file = gateway::parse(&text, "").unwrap();
        assert_eq!(file.unused, ["local", "openai"]);
        assert!(file.cache.is_some());
    }
}
