//! Axes, lines and points in the plots' common look.

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

/// Wide enough for a desk, and with letters that a phone's width leaves readable.
const SIZE: (u32, u32) = (560, 400);
const TEXT: (&str, u32) = ("sans-serif", 15);

/// Readable on white and on black.
pub const COLOURS: [RGBColor; 5] = [
    RGBColor(0x3b, 0x82, 0xf6),
    RGBColor(0xe8, 0x7a, 0x1d),
    RGBColor(0x16, 0xa3, 0x4a),
    RGBColor(0x8b, 0x93, 0xa1),
    RGBColor(0xd9, 0x46, 0x8f),
];

pub type Failure = Box<dyn std::error::Error + Send + Sync>;
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub type Chart<'a, 'b, X, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>;

/// What is drawn on a white ground, as SVG.
pub fn draw(contents: impl FnOnce(&Area) -> Result<(), Failure>) -> Result<String, Failure> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        contents(&area)?;
        area.present()?;
    }
    Ok(svg)
}

/// A chart with labelled axes.
pub fn axes<'a, 'b, X, Y>(
    area: &'a Area<'b>,
    names: [&str; 2],
    x: X,
    y: Y,
) -> Result<Chart<'a, 'b, X::CoordDescType, Y::CoordDescType>, Failure>
where
    X: AsRangedCoord,
    Y: AsRangedCoord,
    X::CoordDescType: ValueFormatter<X::Value>,
    Y::CoordDescType: ValueFormatter<Y::Value>,
    X::Value: 'a,
    Y::Value: 'a,
{
    axes_named(area, names, x, y, &X::CoordDescType::format)
}

/// A chart with labelled axes, whose horizontal places `x_label` names.
pub fn axes_named<'a, 'b, X, Y>(
    area: &'a Area<'b>,
    [x_name, y_name]: [&str; 2],
    x: X,
    y: Y,
    x_label: &dyn Fn(&X::Value) -> String,
) -> Result<Chart<'a, 'b, X::CoordDescType, Y::CoordDescType>, Failure>
where
    X: AsRangedCoord,
    Y: AsRangedCoord,
    X::CoordDescType: ValueFormatter<X::Value>,
    Y::CoordDescType: ValueFormatter<Y::Value>,
    X::Value: 'a,
    Y::Value: 'a,
{
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .set_label_area_size(LabelAreaPosition::Left, 58)
        .set_label_area_size(LabelAreaPosition::Bottom, 46)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .axis_style(BLACK.mix(0.6))
        .x_desc(x_name)
        .y_desc(y_name)
        .x_label_formatter(x_label)
        .x_labels(7)
        .y_labels(7)
        .label_style(TEXT)
        .axis_desc_style(TEXT)
        .draw()?;
    Ok(chart)
}

/// A named line with a legend entry.
pub fn line<X, Y>(
    chart: &mut Chart<'_, '_, X, Y>,
    name: &str,
    colour: RGBColor,
    points: Vec<(X::ValueType, Y::ValueType)>,
) -> Result<(), Failure>
where
    X: Ranged,
    Y: Ranged,
    X::ValueType: Clone + 'static,
    Y::ValueType: Clone + 'static,
{
    chart
        .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
        .label(name)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
    Ok(())
}

/// Shows the names of the lines.
pub fn legend<'a, 'b: 'a, X: Ranged, Y: Ranged>(
    chart: &mut Chart<'a, 'b, X, Y>,
    position: SeriesLabelPosition,
) -> Result<(), Failure> {
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.2))
        .label_font(TEXT)
        .draw()?;
    Ok(())
}

/// The style of text inside a plot.
pub fn text() -> TextStyle<'static> {
    TextStyle::from(TEXT.into_font()).color(&BLACK)
}
