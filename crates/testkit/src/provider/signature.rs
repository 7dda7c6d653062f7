//! AWS Signature Version 4, computed once more.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use sha2::{Digest, Sha256};

use super::Seen;

/// A secret access key, and what it may be used for.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: String,
    pub secret: String,
    pub region: String,
    pub service: String,
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Headers without which a signature says too little.
const SIGNED: [&str; 3] = ["host", "x-amz-content-sha256", "x-amz-date"];

impl Account {
    /// What is wrong with a request's signature.
    pub fn fault(&self, seen: &Seen) -> Option<String> {
        let Some(given) = seen.header("authorization") else {
            return Some("authorization is missing".to_owned());
        };
        let Some(fields) = given.strip_prefix(ALGORITHM) else {
            return Some("authorization is not a signature".to_owned());
        };
        let field =
            |name: &str| fields.split(',').find_map(|field| field.trim().strip_prefix(name));
        let (Some(credential), Some(names), Some(signature)) =
            (field("Credential="), field("SignedHeaders="), field("Signature="))
        else {
            return Some("the signature lacks a part".to_owned());
        };
        let date = seen.header("x-amz-date").unwrap_or_default();
        let Some((day, _)) = date.split_once('T').filter(|(day, _)| day.len() == 8) else {
            return Some(format!("x-amz-date is {date:?}"));
        };
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        if credential != format!("{}/{scope}", self.id) {
            return Some(format!("the credential is {credential:?}, not of {scope}"));
        }
        let hash = hex(&Sha256::digest(&seen.body));
        if seen.header("x-amz-content-sha256") != Some(&hash) {
            return Some("x-amz-content-sha256 is not the body's".to_owned());
        }
        let names: Vec<&str> = names.split(';').collect();
        if let Some(missing) = SIGNED.into_iter().find(|name| !names.contains(name)) {
            return Some(format!("{missing} is not signed"));
        }
        let canonical = canonical(seen, &names, &hash);
        let hashed = hex(&Sha256::digest(&canonical));
        let text = format!("{ALGORITHM}\n{date}\n{scope}\n{hashed}");
        let mut key = hmac(format!("AWS4{}", self.secret).as_bytes(), day);
        for part in [&self.region, &self.service, "aws4_request"] {
            key = hmac(&key, part);
        }
        (hex(&hmac(&key, &text)) != signature)
            .then(|| format!("the signature is not of this request:\n{canonical}"))
    }
}

fn canonical(seen: &Seen, names: &[&str], hash: &str) -> String {
    let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
    // Encoded once more, as every service but S3 wants it.
    let path = path.replace('%', "%25");
    let mut query: Vec<&str> = query.split('&').collect();
    query.sort_unstable();
    let mut canonical = format!("{}\n{path}\n{}\n", seen.method, query.join("&"));
    for name in names {
        let values = seen.headers.get_all(*name).iter();
        let mut values: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        if *name == "host" {
            values = vec![seen.host.as_str().into()];
        }
        let values: Vec<String> = values
            .iter()
            .map(|value| value.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        canonical.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    canonical + &format!("\n{}\n{hash}", names.join(";"))
}

/// RFC 2104, with SHA-256.
fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut block = [0; 64];
    let key = if key.len() > block.len() { Sha256::digest(key).to_vec() } else { key.to_vec() };
    block[..key.len()].copy_from_slice(&key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text);
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c));
    outer.chain_update(inner.finalize()).finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue, Method};

    /// `get-vanilla` of AWS's own test suite, which signs only the host and the date.
    #[test]
    fn a_signature_of_awss_test_suite() {
        let key = ["us-east-1", "service", "aws4_request"].into_iter().fold(
            hmac(b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830"),
            |key, part| hmac(&key, part),
        );
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-date", HeaderValue::from_static("20150830T123600Z"));
        let seen = Seen {
            method: Method::GET,
            path: "/".to_owned(),
            host: "example.amazonaws.com".to_owned(),
            headers,
            ..Seen::default()
        };
        let canonical = canonical(&seen, &["host", "x-amz-date"], &hex(&Sha256::digest("")));
        let hashed = hex(&Sha256::digest(&canonical));
        let scope = "20150830/us-east-1/service/aws4_request";
        let text = format!("{ALGORITHM}\n20150830T123600Z\n{scope}\n{hashed}");
        assert_eq!(
            hex(&hmac(&key, &text)),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
    }
}
