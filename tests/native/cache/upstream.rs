//! What goes to the upstream, and what comes back from it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::Result;

use pointsman_testkit::model::Model;
use pointsman_testkit::proxy::{Proxy, chat, outcome};

/// The answer to bytes that no HTTP library would send.
fn raw(address: SocketAddr, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    // The server may reset what it refused to read.
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn no_request_leads_anywhere_but_to_the_upstream() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    let elsewhere = TcpListener::bind("127.0.0.1:0")?;
    elsewhere.set_nonblocking(true)?;
    let other = elsewhere.local_addr()?;
    let long = "a".repeat(65_000);
    let longest = "a".repeat(65_500);
    let body = chat("What is love?").to_string();
    for (target, statuses) in [
        (format!("http://{other}/v1/chat/completions"), &["200"][..]),
        (format!("https://{other}/v1/models"), &["200"]),
        (format!("http://user:pw@{other}/v1/chat/completions"), &["400"]),
        (format!("//{other}/v1/chat/completions"), &["200"]),
        (format!("/@{other}/v1/chat/completions"), &["200"]),
        (format!("/v1/chat/completions?url=http://{other}/"), &["200"]),
        (format!("http://{other}/{long}"), &["200"]),
        (format!("http://{other}/{longest}"), &["200", "400", "414"]),
        (format!("http://{other}/v1/models?{longest}"), &["200", "400", "414"]),
        (format!("{other}"), &["400"]),
        ("*".to_owned(), &["400"]),
    ] {
        for method in ["POST", "GET"] {
            let head = format!("{method} {target} HTTP/1.1\r\nhost: {other}\r\nconnection: close");
            let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let answer = raw(proxy.address, &request)?;
            let status = answer.get(9..12).unwrap_or_default();
            let short = &target[..target.len().min(60)];
            assert!(statuses.contains(&status), "{method} {short}: {answer}");
        }
    }
    let connect = format!("CONNECT {other} HTTP/1.1\r\nhost: {other}\r\nconnection: close\r\n\r\n");
    let answer = raw(proxy.address, &connect)?;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(elsewhere.accept().is_err(), "something connected to another address");
    Ok(())
}

#[test]
fn an_answer_that_another_reader_may_read_otherwise_is_not_passed_on() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    for reply in ["two-lengths", "switching"] {
        for headers in [&[("x-reply", reply)][..], &[("x-reply", reply), ("upgrade", "websocket")]]
        {
            let response = proxy.post(&chat(&format!("What does {reply} mean?")), headers)?;
            assert_eq!(response.status, 502, "{reply}: {response:?}");
        }
    }
    assert_eq!(proxy.metric("pointsman_cache_upstream_errors_total{target=\"cheap\"}")?, 4);
    assert!(
        std::fs::read_to_string(&proxy.process.stderr)?.contains("no answer from the upstream")
    );
    assert_eq!(proxy.ask("What is love?")?.status, 200);
    Ok(())
}

#[test]
fn what_an_answer_says_of_caches_is_honoured() -> Result<()> {
    let model = Model::start()?;
    let proxy = Proxy::start(model.address, &[])?;
    for (header, again) in [
        ("cache-control: private", "miss"),
        ("cache-control: max-age=60, private=\"set-cookie\"", "miss"),
        ("cache-control: no-cache", "miss"),
        ("cache-control: no-store", "miss"),
        ("vary: *", "miss"),
        ("vary: accept-encoding, user-agent", "miss"),
        ("content-type: text/plain", "miss"),
        ("content-encoding: br", "miss"),
        ("cache-control: public, max-age=60", "hit-exact"),
        ("cache-control: s-maxage=0", "miss"),
        ("cache-control: max-age=60, s-maxage=0", "miss"),
        ("expires: 0", "miss"),
        ("expires: Thu, 01 Jan 2015 00:00:00 GMT", "miss"),
        ("expires: Fri, 01 Jan 2100 00:00:00 GMT", "hit-exact"),
        ("vary: Accept-Encoding, Cookie, Origin", "hit-exact"),
        ("set-cookie: a=b", "hit-exact"),
    ] {
        let reply = format!("with {header}");
        let ask = || proxy.post(&chat(&format!("What is {header:?}?")), &[("x-reply", &reply)]);
        assert_eq!(outcome(&ask()?), "miss", "{header}");
        let second = ask()?;
        assert_eq!(outcome(&second), again, "{header}");
        assert!(again == "miss" || second.header("set-cookie").is_none(), "{header}");
    }
    // Servers of events say so for the proxies on the way, which shall not hold events back.
    let mut body = chat("What is love?");
    body["stream"] = true.into();
    let ask = || proxy.post(&body, &[("x-reply", "sse-no-cache")]);
    assert_eq!(ask()?.header("cache-control"), Some("no-cache"));
    assert_eq!(outcome(&ask()?), "hit-exact");
    Ok(())
}
