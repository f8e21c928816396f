//! Charts as SVG. Amounts become floating point here for where a line is drawn, and nowhere else; what is written is exact.
//!
//! Colours are stand-ins that the style sheet replaces (`[stroke="#010000"]`), so that a chart follows light and dark, and no
//! `style` attribute is needed.

use plotters::prelude::{
    ChartBuilder, Color, IntoDrawingArea, IntoFont, LineSeries, PathElement, RGBColor, SVGBackend, Text,
};
use plotters::style::TextStyle;

use crate::metrics::dollars;
use crate::money::Usd;

/// The size it is drawn for; it is shown as wide as there is room.
const SIZE: (u32, u32) = (720, 240);

/// Lines of one chart that have a colour of their own; those after them share the last one.
pub const COLORS: u8 = 8;

const AXIS: RGBColor = RGBColor(0, 1, 0);
const GRID: RGBColor = RGBColor(0, 2, 0);
const LIMIT: RGBColor = RGBColor(0, 3, 0);

/// One line.
pub struct Line {
    /// What it is of.
    pub name: String,
    /// Its points: the number of a place on the horizontal axis, and dollars.
    pub points: Vec<(usize, Usd)>,
}

/// A chart of dollars over places that have names.
pub struct Chart<'a> {
    /// What the places are called.
    pub places: &'a [String],
    /// The lines.
    pub lines: &'a [Line],
    /// A line that goes all the way, and what it is called.
    pub limit: Option<(&'a str, Usd)>,
}

impl Chart<'_> {
    /// The SVG, or nothing where there is nothing to draw.
    pub fn svg(&self) -> String {
        let mut text = String::new();
        // It fails where text cannot be written to a string, which can always be done.
        let drawn = self.draw(SVGBackend::with_string(&mut text, SIZE));
        match drawn {
            Ok(()) => without_size(&text),
            Err(_) => String::new(),
        }
    }

    fn draw(&self, backend: SVGBackend<'_>) -> Result<(), Box<dyn std::error::Error + '_>> {
        let last = self.places.len().saturating_sub(1).max(1) as f64;
        let amounts = self.lines.iter().flat_map(|line| line.points.iter().map(|(_, usd)| *usd));
        let most = amounts.chain(self.limit.map(|(_, usd)| usd)).map(dollars).fold(0.0, f64::max);
        let top = if most > 0.0 { most * 1.15 } else { 0.01 };
        let area = backend.into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .x_label_area_size(26)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..last, 0.0..top)?;
        let font = ("sans-serif", 13).into_font().color(&AXIS);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(GRID.mix(0.0))
            .axis_style(AXIS)
            .label_style(font.clone())
            .x_labels(self.places.len().clamp(2, 8))
            .y_labels(5)
            .x_label_formatter(&|at| self.place(*at))
            .y_label_formatter(&|usd| format!("${}", short(*usd)))
            .draw()?;
        for (nth, line) in self.lines.iter().enumerate() {
            let color = color(nth);
            let points = line.points.iter().map(|(at, usd)| (*at as f64, dollars(*usd)));
            chart.draw_series(LineSeries::new(points, color.stroke_width(2)).point_size(3))?;
        }
        if let Some((name, usd)) = self.limit {
            let at = dollars(usd);
            chart.draw_series([PathElement::new([(0.0, at), (last, at)], LIMIT.stroke_width(2))])?;
            let style: TextStyle<'_> = ("sans-serif", 13).into_font().color(&LIMIT);
            chart.draw_series([Text::new(format!("{name}: ${usd}"), (last * 0.01, at + top * 0.08), style)])?;
        }
        area.present()?;
        Ok(())
    }

    fn place(&self, at: f64) -> String {
        // A place is a small whole number; what lies between two has no name.
        let nearest = at.round();
        if (at - nearest).abs() > 0.01 || nearest < 0.0 {
            return String::new();
        }
        self.places.get(nearest as usize).cloned().unwrap_or_default()
    }
}

/// The stand-in for the colour of a line.
fn color(nth: usize) -> RGBColor {
    let number = u8::try_from(nth).unwrap_or(COLORS).min(COLORS - 1) + 1;
    RGBColor(number, 0, 0)
}

/// The name of the stand-in, by which the style sheet colours a legend.
pub fn color_class(nth: usize) -> String {
    format!("series-{}", color(nth).0)
}

fn short(usd: f64) -> String {
    let text = if usd >= 10.0 { format!("{usd:.0}") } else { format!("{usd:.4}") };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The drawing without its width and height, so that it fits whatever room it has; its `viewBox` keeps the shape.
fn without_size(svg: &str) -> String {
    let Some(end) = svg.find('>') else { return String::new() };
    let (head, rest) = svg.split_at(end);
    let (width, height) = SIZE;
    let head = head.replace(&format!("width=\"{width}\" height=\"{height}\" "), "");
    format!("{} aria-hidden=\"true\" focusable=\"false\"{rest}", head.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_its_lines_its_limit_and_its_names_and_no_style_of_its_own() {
        let places: Vec<String> = ["Mon", "Tue", "Wed"].map(str::to_owned).into();
        let usd = |text: &str| text.parse::<Usd>().unwrap();
        let points = vec![(0, usd("0.01")), (2, usd("0.02"))];
        let lines = [Line { name: "a".into(), points: points.clone() }, Line { name: "b".into(), points }];
        let svg = Chart { places: &places, lines: &lines, limit: Some(("cost-drift", usd("0.012"))) }.svg();
        assert!(svg.starts_with("<svg ") && svg.contains("viewBox=\"0 0 720 240\"") && !svg.contains("width=\"720\""));
        for part in
            ["stroke=\"#010000\"", "stroke=\"#020000\"", "stroke=\"#000300\"", "cost-drift: $0.012", ">\nMon\n<"]
        {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        assert!(!svg.contains("style="), "{svg}");
        let empty = Chart { places: &[], lines: &[], limit: None }.svg();
        assert!(empty.starts_with("<svg "), "{empty}");
    }
}
