//! The dashboard in a real browser.

use std::process::Command;

use pointsman_core::control_plane::paths;
use regex::Regex;

use crate::control::plane::{Plane, decision, feedback};

/// Debian's headless Chromium, or none. On CI nothing is skipped.
fn browser() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success())
    });
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "no Chromium: run scripts/debian-packages.sh");
        eprintln!("skipped: no Chromium on PATH (Debian: apt-get install chromium)");
    }
    found
}

fn chromium(name: &str, arguments: &[&str], url: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(name)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--virtual-time-budget=4000", "--hide-scrollbars"])
        .args(arguments)
        .arg(url)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_dashboard_shows_traffic_rewards_and_versions_in_a_browser() {
    let Some(browser) = browser() else { return };
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(&directory.path().join("state"), &[]);
    let decisions: Vec<String> =
        (0..40).map(|n| decision(n, usize::from(n % 4 == 0), 0.9, 0.7)).collect();
    plane.accepted("/pointsman/v1/decisions", &decisions.join("\n"));
    let rewards: Vec<String> = (0..40).map(|n| feedback(n, 0.75)).collect();
    plane.accepted("/pointsman/v1/feedback", &rewards.join("\n"));
    plane.wait_for("all is learnt", |status| status["samples"] == 40);
    assert_eq!(plane.post(paths::PROMOTE, "").0, 200);
    let page = chromium(browser, &["--dump-dom"], &plane.url("/"));
    for shown in [
        "version 1 in force",
        "version 2 on trial with 10.0 % of the traffic",
        "40 rewards learnt from",
        "0 decisions without a reward yet",
        "Published as snapshot 3,",
        // The numbers at the axes.
        ">100 %</text>",
        ">50 %</text>",
        ">0.75</text>",
        "id=\"token\" type=\"password\"",
        "data-loaded=\"yes\"",
        "<b>40</b><span>decisions</span>",
        "<b>0.750</b><span>mean reward</span>",
        // A quarter of the calls at full price, the rest at a 25th of it.
        "<b>72.0 %</b><span>saved against always strong</span>",
        "<b>100.0 %</b><span>coverage: scored prompts</span>",
        "cheap 0.750",
        "strong 0.250",
        "<td>current</td>",
    ] {
        assert!(page.contains(shown), "{shown} is not on the page:\n{page}");
    }
    // Every chart says when, and every event on which day.
    let time = Regex::new(r"text-anchor=.\w+.>\d\d:\d\d(:\d\d)?</text>").unwrap();
    assert!(time.find_iter(&page).count() >= 3, "{page}");
    let dated = Regex::new(r"<td>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d</td><td>2</td><td>promoted</td>");
    assert!(dated.unwrap().is_match(&page), "{page}");
    // The XML namespace of SVG is not an address.
    let page = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!page.contains("http://") && !page.contains("https://"), "the page stands alone");
}

#[test]
fn the_dashboard_fits_a_phone_in_light_and_dark() {
    let Some(browser) = browser() else { return };
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(&directory.path().join("state"), &[]);
    // A page that holds the dashboard at a phone's width and reports what the browser made of it.
    let source = plane.get("/").1;
    let probe = "<script>addEventListener('load', () => { const d = document; \
        d.body.dataset.fits = d.querySelector('main').scrollWidth <= 358; \
        d.body.dataset.ink = getComputedStyle(d.body).color; \
        d.body.dataset.page = getComputedStyle(d.body).backgroundColor; });</script></body>";
    let page = directory.path().join("page.html");
    let framed = source.replace("<main>", "<main style=\"width:358px\">").replace("</body>", probe);
    std::fs::write(&page, framed).unwrap();
    let url = format!("file://{}", page.display());
    let mut seen = Vec::new();
    // No chart and no tile leaves a part of a wide page blank.
    let columns = ["repeat(4, minmax(0, 1fr))", "repeat(2, minmax(0, 1fr))"];
    assert!(columns.iter().all(|it| source.contains(it)), "eight tiles, four panels");
    for scheme in ["0", "1"] {
        let scheme = format!("--blink-settings=preferredColorScheme={scheme}");
        let dom = chromium(browser, &["--dump-dom", "--window-size=500,844", &scheme], &url);
        let value = |name: &str| {
            let rest = dom.split(&format!("data-{name}=\"")).nth(1).unwrap_or_default();
            rest.split('"').next().unwrap_or_default().to_owned()
        };
        assert_eq!(value("fits"), "true", "{dom}");
        seen.push((value("ink"), value("page")));
    }
    assert_ne!(seen[0], seen[1], "light and dark look the same");
}
