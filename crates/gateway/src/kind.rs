//! Kinds of providers, each with everything that a request to one of them needs.

use pointsman_core::api::ApiFormat;
use pointsman_core::api::ApiFormat::{ChatCompletions, Completions, Messages, Responses};

/// A kind of provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    OpenAi,
    Anthropic,
    Azure,
    OpenRouter,
    Groq,
    Mistral,
    DeepSeek,
    Together,
    Gemini,
    Bedrock,
    Vllm,
    Ollama,
    /// Any server with OpenAI's API.
    OpenAiCompatible,
}

/// How a provider is told who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authentication {
    /// A key in a header, behind a prefix.
    Key { header: &'static str, prefix: &'static str },
    /// AWS Signature Version 4, for this service.
    Signature { service: &'static str },
}

const BEARER: Authentication = Authentication::Key { header: "authorization", prefix: "Bearer " };

/// What is known of a kind. Sources: docs/providers.md names the provider's page for each line.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub name: &'static str,
    /// Where it is, with the path that stands before the API's own; `None` where everybody has their
    /// own address.
    pub url: Option<&'static str>,
    pub(crate) authentication: Authentication,
    /// The environment variable that its own SDK reads the key from; `None` where none is needed.
    pub variable: Option<&'static str>,
    pub apis: &'static [ApiFormat],
    /// Paths below `/v1/` that are side endpoints, as a regular expression without anchors.
    pub side_endpoints: &'static str,
    /// Headers that every request must have, unless the client says otherwise.
    pub headers: &'static [(&'static str, &'static str)],
    /// What is asked, below the URL, to see whether a key is right and costs nothing; `None` where
    /// nothing is free.
    pub probe: Option<&'static str>,
}

const MODELS: &str = r"models(?:/.+)?";

const OPENAI: Facts = Facts {
    name: "openai",
    url: Some("https://api.openai.com/v1"),
    authentication: BEARER,
    variable: Some("OPENAI_API_KEY"),
    apis: &[ChatCompletions, Completions, Responses],
    side_endpoints: r"models(?:/.+)?|embeddings|moderations|images/.+|audio/.+|files(?:/.+)?|uploads(?:/.+)?|batches(?:/.+)?|vector_stores(?:/.+)?|conversations(?:/.+)?|chat/completions/.+|responses/.+",
    headers: &[],
    probe: Some("models"),
};

/// A hosted service with OpenAI's chat API.
const fn hosted(name: &'static str, url: &'static str, variable: &'static str) -> Facts {
    Facts {
        name,
        url: Some(url),
        variable: Some(variable),
        apis: &[ChatCompletions],
        side_endpoints: MODELS,
        ..OPENAI
    }
}

impl Facts {
    /// The header that carries the key, and what stands before the key in it; `None` where requests
    /// are signed.
    pub fn key_header(&self) -> Option<(&'static str, &'static str)> {
        match self.authentication {
            Authentication::Key { header, prefix } => Some((header, prefix)),
            Authentication::Signature { .. } => None,
        }
    }
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 13] = [
        Kind::OpenAi,
        Kind::Anthropic,
        Kind::Azure,
        Kind::OpenRouter,
        Kind::Groq,
        Kind::Mistral,
        Kind::DeepSeek,
        Kind::Together,
        Kind::Gemini,
        Kind::Bedrock,
        Kind::Vllm,
        Kind::Ollama,
        Kind::OpenAiCompatible,
    ];

    /// What is known of it.
    pub const fn facts(self) -> Facts {
        match self {
            Kind::OpenAi => OPENAI,
            Kind::Anthropic => Facts {
                name: "anthropic",
                url: Some("https://api.anthropic.com/v1"),
                authentication: Authentication::Key { header: "x-api-key", prefix: "" },
                variable: Some("ANTHROPIC_API_KEY"),
                apis: &[Messages],
                side_endpoints: r"models(?:/.+)?|files(?:/.+)?|skills(?:/.+)?|messages/count_tokens|messages/batches(?:/.+)?",
                headers: &[("anthropic-version", "2023-06-01")],
                probe: Some("models"),
            },
            Kind::Azure => Facts {
                name: "azure",
                url: None,
                authentication: Authentication::Key { header: "api-key", prefix: "" },
                variable: Some("AZURE_OPENAI_API_KEY"),
                apis: &[ChatCompletions, Completions],
                side_endpoints: r"embeddings|audio/.+|images/.+",
                headers: &[],
                probe: Some("openai/models"),
            },
            Kind::OpenRouter => Facts {
                side_endpoints: r"models(?:/.+)?|embeddings|audio/.+",
                apis: &[ChatCompletions, Completions, Messages],
                // Its list of models is public; this says whose key it is.
                probe: Some("key"),
                ..hosted("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY")
            },
            Kind::Groq => Facts {
                side_endpoints: r"models(?:/.+)?|audio/.+|files(?:/.+)?|batches(?:/.+)?",
                apis: &[ChatCompletions, Responses],
                ..hosted("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY")
            },
            Kind::Mistral => Facts {
                side_endpoints: r"models(?:/.+)?|embeddings|moderations|files(?:/.+)?|audio/.+|ocr|fim/completions",
                ..hosted("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY")
            },
            Kind::DeepSeek => Facts {
                apis: &[ChatCompletions, Responses],
                ..hosted("deepseek", "https://api.deepseek.com", "DEEPSEEK_API_KEY")
            },
            Kind::Together => Facts {
                side_endpoints: r"models(?:/.+)?|embeddings|images/.+|audio/.+|files(?:/.+)?|batches(?:/.+)?",
                apis: &[ChatCompletions, Completions],
                ..hosted("together", "https://api.together.ai/v1", "TOGETHER_API_KEY")
            },
            Kind::Gemini => Facts {
                side_endpoints: r"models(?:/.+)?|embeddings|images/.+|videos(?:/.+)?|batches(?:/.+)?",
                ..hosted(
                    "gemini",
                    "https://generativelanguage.googleapis.com/v1beta/openai",
                    "GEMINI_API_KEY",
                )
            },
            Kind::Bedrock => Facts {
                name: "bedrock",
                url: None,
                authentication: Authentication::Signature { service: "bedrock" },
                variable: None,
                apis: &[ChatCompletions],
                side_endpoints: "",
                headers: &[],
                probe: None,
            },
            Kind::Vllm => Facts {
                name: "vllm",
                url: Some("http://127.0.0.1:8000/v1"),
                variable: None,
                apis: &[ChatCompletions, Completions, Responses, Messages],
                side_endpoints: r"models(?:/.+)?|embeddings|audio/.+|responses/.+|messages/count_tokens",
                ..OPENAI
            },
            Kind::Ollama => Facts {
                name: "ollama",
                url: Some("http://127.0.0.1:11434/v1"),
                variable: None,
                apis: &[ChatCompletions, Completions, Responses, Messages],
                side_endpoints: r"models(?:/.+)?|embeddings|audio/.+",
                ..OPENAI
            },
            Kind::OpenAiCompatible => {
                Facts { name: "openai-compatible", url: None, variable: None, ..OPENAI }
            }
        }
    }

    /// The kind with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.facts().name == name)
    }
}
