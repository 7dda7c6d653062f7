//! What numbers look like: plots as SVG, the numbers behind them as CSV, both on an HTML page.

pub mod canvas;
pub mod csv;
pub mod html;
mod plot;

pub use plot::{Drawing, Drawn, Plot, PlotError, around, draw_all, write_plots};
