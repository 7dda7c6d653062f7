//! Pages of text, tables and plots, in one file each.

use super::Plot;

/// A table; cells are HTML.
pub fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut out = String::from("<div class=wide><table><thead><tr>");
    head.iter().for_each(|name| out += &format!("<th>{name}</th>"));
    out += "</tr></thead><tbody>";
    for row in rows {
        out += "<tr>";
        row.iter().for_each(|cell| out += &format!("<td>{cell}</td>"));
        out += "</tr>";
    }
    out + "</tbody></table></div>"
}

/// Text as HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A plot under its title.
pub fn figure(plot: &Plot) -> String {
    format!(
        "<h2>{}</h2><figure>{}<figcaption>{}</figcaption></figure>",
        plot.title, plot.svg, plot.caption
    )
}

/// The beginning of a page, up to `<main>`.
pub fn head(title: &str) -> String {
    HEAD.replace("TITLE", title)
}

/// Plots are drawn black on white; the page maps both to its own colours, so that one drawing is
/// readable in light and in dark.
const HEAD: &str = r##"<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>TITLE</title>
<style>
:root { --ink: #1c2330; --paper: #ffffff; --line: #d5dae3; --soft: #5b6678; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e8f0; --paper: #12161d; --line: #333c4b; --soft: #9aa6b8; }
}
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 46rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line);
  text-align: left; vertical-align: top; }
small { color: var(--soft); white-space: nowrap; display: block; }
.note, figcaption { color: var(--soft); font-size: .9rem; }
figure { margin: 0; }
svg { width: 100%; height: auto; }
svg [fill="#000000"] { fill: var(--ink); } svg [stroke="#000000"] { stroke: var(--ink); }
svg [fill="#FFFFFF"] { fill: var(--paper); } svg [stroke="#FFFFFF"] { stroke: var(--paper); }
</style></head><body><main>
"##;
