//! Charts of figures.

use super::sections::Section;
use super::tables::{is_ours, quantity, ranked, unit};
use crate::contender::Peer;
use crate::results::Results;
use crate::scenarios::Unit;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

const WIDTH: u32 = 880;
const ROW_HEIGHT: u32 = 24;
const FONT: (&str, u32) = ("sans-serif", 14);
const OURS: RGBColor = RGBColor(0xd9, 0x5f, 0x02);
const OTHERS: RGBColor = RGBColor(0x7a, 0x9c, 0xc6);

/// Of lines that are not of the cache alone.
pub const LINES: [RGBColor; 10] = [
    RGBColor(0x1f, 0x77, 0xb4),
    RGBColor(0x2c, 0xa0, 0x2c),
    RGBColor(0x94, 0x67, 0xbd),
    RGBColor(0x8c, 0x56, 0x4b),
    RGBColor(0xe3, 0x77, 0xc2),
    RGBColor(0x7f, 0x7f, 0x7f),
    RGBColor(0xbc, 0xbd, 0x22),
    RGBColor(0x17, 0xbe, 0xcf),
    RGBColor(0x00, 0x00, 0x00),
    RGBColor(0xd6, 0x27, 0x28),
];

/// Beyond this ratio of the largest bar to the smallest one the scale is logarithmic.
const LOGARITHMIC_FROM: f64 = 30.0;

/// A panel for each scenario, a bar for each contender.
pub fn bars(path: &Path, section: &Section, results: &Results, peers: &[Peer]) {
    let ranked = ranked(section, results, peers);
    let panels: Vec<(&str, Unit, Vec<Bar>)> = section
        .columns
        .iter()
        .map(|&(scenario, head)| (head, unit(scenario), measured(scenario, results, &ranked)))
        .filter(|(_, _, bars)| !bars.is_empty())
        .collect();
    let heights: Vec<u32> =
        panels.iter().map(|(_, _, bars)| bars.len() as u32 * ROW_HEIGHT + 80).collect();
    let mut rest = SVGBackend::new(path, (WIDTH, heights.iter().sum())).into_drawing_area();
    rest.fill(&WHITE).unwrap();
    for ((head, unit, bars), height) in panels.into_iter().zip(heights) {
        let (area, below) = rest.split_vertically(height);
        panel(&area, &format!("{}: {head}", section.title), unit, &bars);
        rest = below;
    }
}

struct Bar {
    name: &'static str,
    value: f64,
    is_ours: bool,
}

fn measured(scenario: &str, results: &Results, peers: &[&Peer]) -> Vec<Bar> {
    let bar = |peer: &&Peer| {
        let value = results.of(peer.name, scenario)?.median;
        Some(Bar { name: peer.name, value, is_ours: is_ours(peer) })
    };
    let mut bars: Vec<Bar> = peers.iter().filter_map(bar).collect();
    bars.sort_by(|a, b| a.value.total_cmp(&b.value));
    bars
}

fn panel(area: &DrawingArea<SVGBackend<'_>, Shift>, title: &str, unit: Unit, bars: &[Bar]) {
    let largest = bars.last().map_or(1.0, |bar| bar.value);
    let smallest = bars.first().map_or(1.0, |bar| bar.value);
    let logarithmic = largest > smallest * LOGARITHMIC_FROM;
    // Positions are drawn by hand, so that both scales share one drawing.
    let base = if logarithmic { (smallest / 2.0).ln() } else { 0.0 };
    let position = |value: f64| if logarithmic { value.ln() - base } else { value };
    let caption = if logarithmic { format!("{title} (logarithmic)") } else { title.to_owned() };
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 18))
        .margin(10)
        .margin_right(90)
        .y_label_area_size(120)
        .build_cartesian_2d(0.0..position(largest) * 1.02, (0..bars.len() - 1).into_segmented())
        .unwrap();
    let name = |segment: &SegmentValue<usize>| match segment {
        SegmentValue::CenterOf(row) => bars.get(bars.len() - 1 - row).map_or("", |bar| bar.name),
        _ => "",
    };
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_x_axis()
        .y_labels(bars.len())
        .y_label_formatter(&|segment| name(segment).to_owned())
        .y_label_style(FONT)
        .draw()
        .unwrap();
    let rows = bars.iter().rev().enumerate();
    let bar = |(row, bar): (usize, &Bar)| {
        let corners =
            [(0.0, SegmentValue::Exact(row)), (position(bar.value), SegmentValue::Exact(row + 1))];
        let colour = if bar.is_ours { OURS } else { OTHERS };
        let mut rectangle = Rectangle::new(corners, colour.filled());
        rectangle.set_margin(3, 3, 0, 0);
        rectangle
    };
    chart.draw_series(rows.clone().map(bar)).unwrap();
    let figure = |(row, bar): (usize, &Bar)| {
        let end = (position(bar.value), SegmentValue::CenterOf(row));
        EmptyElement::at(end) + Text::new(quantity(unit, bar.value), (6, -7), FONT)
    };
    chart.draw_series(rows.map(figure)).unwrap();
}

/// A line for each contender over the sizes of the scenarios.
pub fn curves(path: &Path, section: &Section, sizes: &[f64], results: &Results, peers: &[Peer]) {
    let points = |peer: &Peer| -> Vec<(f64, f64)> {
        let scenarios = section.columns.iter().map(|&(name, _)| name).zip(sizes);
        scenarios
            .filter_map(|(name, &size)| Some((size, results.of(peer.name, name)?.median)))
            .collect()
    };
    let ranked = ranked(section, results, peers);
    let lines = ranked.iter().enumerate().map(|(index, peer)| Line {
        label: peer.name.to_owned(),
        colour: if is_ours(peer) { OURS } else { LINES[index % LINES.len()] },
        width: 2,
        points: points(peer),
    });
    let unit = unit(section.columns[0].0);
    self::lines(path, section.title, unit, sizes, &lines.collect::<Vec<_>>());
}

/// A figure over sizes.
pub struct Line {
    pub label: String,
    pub colour: RGBColor,
    pub width: u32,
    /// Size and figure.
    pub points: Vec<(f64, f64)>,
}

/// Lines over `sizes`; both scales are logarithmic.
pub fn lines(path: &Path, title: &str, unit: Unit, sizes: &[f64], lines: &[Line]) {
    let values = || lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value);
    let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(0.0, f64::max));
    let area = SVGBackend::new(path, (WIDTH, 480)).into_drawing_area();
    area.fill(&WHITE).unwrap();
    // The legend stands to the right of the last size, in a quarter of the width.
    let (first, last) = (sizes[0], sizes[sizes.len() - 1]);
    let across = (first / 1.2..last * (last / first).powf(0.3) * 2.5).log_scale();
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d(across, (low / 1.5..high * 1.5).log_scale())
        .unwrap();
    let size_name = |size: &f64| {
        let measured = sizes.iter().any(|other| (other - size).abs() < 1.0);
        if measured { format!("{size:.0}") } else { String::new() }
    };
    chart
        .configure_mesh()
        .x_desc("entries")
        .x_label_formatter(&size_name)
        .y_label_formatter(&|value| quantity(unit, *value))
        .x_label_style(FONT)
        .y_label_style(FONT)
        .light_line_style(WHITE)
        .draw()
        .unwrap();
    for &Line { ref label, colour, width, ref points } in lines {
        let dots = points.iter().map(|&point| Circle::new(point, width + 2, colour.filled()));
        chart.draw_series(dots).unwrap();
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(width)))
            .unwrap()
            .label(label)
            .legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(width + 1))
            });
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .label_font(FONT)
        .draw()
        .unwrap();
}
