//! What is known of agents: how they wrap what a person writes, and what they ask for themselves.
//!
//! One file an agent, so that a new one, or a new version's habits, is a matter of data.

use std::sync::LazyLock;

use memchr::memmem;
use serde_json::Value;

/// How one agent writes its requests.
#[derive(Debug, Default)]
pub struct Agent {
    pub name: String,
    /// The version whose requests this was seen in; none where it is from documents alone.
    pub run: Option<String>,
    /// Elements of user turns that say nothing of what the model is asked.
    pub strip_tags: Vec<String>,
    /// How a paragraph begins from which on a user turn is the agent's.
    pub strip_from: Vec<String>,
    /// User turns that are the agent's as a whole: worked examples.
    pub strip_turns: Vec<String>,
    /// How a user turn begins that is the agent's as a whole.
    pub strip_turns_from: Vec<String>,
    /// Elements that hold what the person wrote, where there is one.
    pub question_tags: Vec<String>,
    /// Elements to leave out that hold what the person wrote when there is nothing else.
    pub argument_tags: Vec<String>,
    /// Elements that are nothing but a frame when they are all of a text.
    pub frame_tags: Vec<String>,
    /// Beginnings of lines that announce an element to leave out.
    pub headings: Vec<String>,
    /// What the instructions of requests say that serve the agent and not the person: titles,
    /// summaries.
    pub housekeeping: Vec<String>,
}

/// All agents that something is known of.
pub static AGENTS: LazyLock<Vec<Agent>> = LazyLock::new(|| {
    [
        include_str!("claude-code.json"),
        include_str!("codex.json"),
        include_str!("copilot.json"),
        include_str!("cursor.json"),
        include_str!("cline.json"),
        include_str!("aider.json"),
        include_str!("opencode.json"),
        include_str!("gptme.json"),
        include_str!("mini-swe-agent.json"),
        include_str!("mistral-vibe.json"),
        include_str!("openhands.json"),
    ]
    .into_iter()
    // They are tested; one that does not read would be missing.
    .filter_map(|agent| serde_json::from_slice(agent.as_bytes()).ok())
    .map(|agent: Value| Agent::of(&agent))
    .collect()
});

impl Agent {
    /// By hand: types that are derived for it would be a hundredth of the module.
    fn of(file: &Value) -> Self {
        let text = |name| file.get(name).and_then(Value::as_str).map(str::to_owned);
        let list = |name| {
            let items = file.get(name).and_then(Value::as_array).into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Agent {
            name: text("name").unwrap_or_default(),
            run: text("run"),
            strip_tags: list("strip_tags"),
            strip_from: list("strip_from"),
            strip_turns: list("strip_turns"),
            strip_turns_from: list("strip_turns_from"),
            question_tags: list("question_tags"),
            argument_tags: list("argument_tags"),
            frame_tags: list("frame_tags"),
            headings: list("headings"),
            housekeeping: list("housekeeping"),
        }
    }
}

/// Searchers are dear to build, and every request with a session is looked at.
static HOUSEKEEPING: LazyLock<Vec<memmem::Finder>> = LazyLock::new(|| {
    let phrases = AGENTS.iter().flat_map(|agent| &agent.housekeeping);
    phrases.map(|phrase| memmem::Finder::new(phrase).into_owned()).collect()
});

/// Whether instructions are those of a request that an agent makes for itself.
pub(super) fn is_housekeeping(instructions: &str) -> bool {
    HOUSEKEEPING.iter().any(|phrase| phrase.find(instructions.as_bytes()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_agents_file_is_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/prompt/agents");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let files: Vec<_> =
            files.filter(|file| file.extension().is_some_and(|it| it == "json")).collect();
        assert_eq!(files.len(), AGENTS.len());
        assert!(AGENTS.iter().all(|agent| !agent.name.is_empty()));
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            for name in value.as_object().unwrap().keys() {
                // What is printed of an agent has all names.
                let shown = format!("{:?}", Agent::default());
                assert!(shown.contains(&format!(" {name}: ")), "{}: {name}", file.display());
            }
        }
    }

    /// Whoever reads the documents must know what was tried.
    #[test]
    fn the_documents_say_which_agents_were_run() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let docs = std::fs::read_to_string(docs).unwrap();
        for agent in AGENTS.iter() {
            let run = agent.run.as_deref().unwrap_or("unverified");
            let row = format!("| {} | {run} |", agent.name);
            assert!(docs.contains(&row), "{row}");
            for tag in agent.strip_tags.iter().chain(&agent.question_tags) {
                assert!(docs.contains(&format!("`{tag}`")), "{tag}");
            }
        }
    }
}
