//! Where the commands of the cache get vectors from: built in, or an endpoint.

use std::collections::HashMap;
use std::time::Duration;

use crate::cli::BadInput;
use pointsman_cache::{Calibration, Endpoint, Matcher, Trust};

/// Environment variable of the endpoint's key: other users can read a command line.
const KEY: &str = "POINTSMAN_EMBEDDINGS_KEY";
/// Texts per request.
const BATCH: usize = 128;
/// Longest time for a batch.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(super) struct Args {
    /// Get the vectors of questions from this OpenAI-compatible https://…/v1/embeddings; its key is
    /// read from POINTSMAN_EMBEDDINGS_KEY
    #[arg(long, value_name = "URL", requires = "embeddings_model")]
    embeddings_url: Option<String>,
    /// Name of the embedding model
    #[arg(long, value_name = "NAME", requires = "embeddings_url")]
    embeddings_model: Option<String>,
}

impl Args {
    /// The service, if there is one; only then is it asked whom to trust.
    pub(super) fn endpoint(
        &self,
        trust: impl FnOnce() -> Result<Trust, BadInput>,
    ) -> anyhow::Result<Option<Endpoint>> {
        let (Some(url), Some(model)) = (&self.embeddings_url, &self.embeddings_model) else {
            return Ok(None);
        };
        let key = std::env::var(KEY).ok().filter(|key| !key.is_empty());
        Ok(Some(Endpoint::new(url, model, key.as_deref(), &trust()?).map_err(BadInput::new)?))
    }
}

/// The calibration, if it was made with these vectors: cosines of two models are not comparable.
pub(super) fn made_for(
    calibration: Calibration,
    endpoint: Option<&Endpoint>,
) -> Result<Calibration, BadInput> {
    let wanted = endpoint.map(Endpoint::model);
    if calibration.embeddings.as_deref() == wanted {
        return Ok(calibration);
    }
    let name = |model: Option<&str>| match model {
        Some(model) => format!("vectors of {model:?}"),
        None => "the built-in embedding".to_owned(),
    };
    let made = name(calibration.embeddings.as_deref());
    let error = format!("the calibration was made with {made} and not with {}", name(wanted));
    Err(BadInput::new(error)
        .hint("calibrate with the same vectors: pointsman cache calibrate --help"))
}

/// The matcher with the vectors of all these texts, if there is an endpoint.
pub(super) fn knowing<'a>(
    mut matcher: Matcher,
    endpoint: Option<&Endpoint>,
    texts: impl Iterator<Item = &'a str>,
) -> anyhow::Result<Matcher> {
    let Some(endpoint) = endpoint else { return Ok(matcher) };
    let mut texts: Vec<&str> = texts.collect();
    texts.sort_unstable();
    texts.dedup();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut vectors = HashMap::new();
    for batch in texts.chunks(BATCH) {
        let found = runtime.block_on(endpoint.embed(batch, PATIENCE));
        let found = found.map_err(|error| BadInput::new(format!("embeddings: {error}")))?;
        vectors.extend(batch.iter().map(|text| (*text).to_owned()).zip(found));
    }
    matcher.calibration.embeddings = Some(endpoint.model().to_owned());
    Ok(matcher.knowing(vectors))
}
