//! Draws the table of the bench as an SVG file. A plotting crate that follows the reader's choice of a light or dark
//! page would be too large to build for every new user.

use std::fmt::Write;

/// The measurements for one number of keys.
pub(crate) struct Row {
    pub(crate) keys: usize,
    pub(crate) warm_ns: f64,
    pub(crate) cold_us: f64,
    pub(crate) proof_bytes: Option<f64>,
    pub(crate) store_bytes: Option<f64>,
}

/// One line of a panel: its name, its class in [`STYLE`], its points as (keys, value).
struct Line {
    name: &'static str,
    class: &'static str,
    points: Vec<(usize, f64)>,
}

struct Panel {
    left: f64,
    title: &'static str,
    unit: &'static str,
    most_keys: usize,
    lines: Vec<Line>,
}

const WIDTH: f64 = 290.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 264.0;

/// The picture has its own background, so that it is readable on any page.
const STYLE: &str = "\
.scale text{font:12px system-ui,sans-serif;fill:#1f2328}.scale .title{font-weight:600;font-size:13px}
.scale .ground{fill:#fff;stroke:#d1d9e0}.scale .grid{stroke:#d1d9e0}.scale .line{fill:none;stroke-width:2}
.scale .a{stroke:#0969da}.scale .b{stroke:#bc4c00}.scale circle.a{fill:#0969da}.scale circle.b{fill:#bc4c00}
.scale text.a{fill:#0969da;stroke:none}.scale text.b{fill:#bc4c00;stroke:none}
@media (prefers-color-scheme:dark){.scale text{fill:#e6edf3}
.scale .ground{fill:#0d1117;stroke:#3d444d}.scale .grid{stroke:#3d444d}
.scale .a{stroke:#4493f8}.scale .b{stroke:#f0883e}.scale circle.a{fill:#4493f8}.scale circle.b{fill:#f0883e}
.scale text.a{fill:#4493f8}.scale text.b{fill:#f0883e}}";

/// The picture: cost of a warm check on the left, memory on the right.
pub(crate) fn draw(rows: &[Row], machine: &str) -> String {
    let most_keys = rows.iter().map(|row| row.keys).max().unwrap_or(1).max(10);
    let line = |name, class, value: fn(&Row) -> Option<f64>| Line {
        name,
        class,
        points: rows.iter().filter_map(|row| Some((row.keys, value(row)?))).collect(),
    };
    let panels = [
        Panel {
            left: 64.0,
            title: "Check of a proved key, picked at random",
            unit: "nanoseconds",
            most_keys,
            lines: vec![line("Authenticator::authenticate", "a", |row| Some(row.warm_ns))],
        },
        Panel {
            left: 444.0,
            title: "Memory for each key",
            unit: "bytes",
            most_keys,
            lines: vec![
                line("remembered proof", "a", |row| row.proof_bytes),
                line("record in MemoryStore", "b", |row| row.store_bytes),
            ],
        },
    ];
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 344\" class=\"scale\" role=\"img\">\n\
         <title>What a check costs and what a key takes of memory, by number of keys</title>\n\
         <style>\n{STYLE}\n</style>\n<rect class=\"ground\" x=\".5\" y=\".5\" width=\"759\" height=\"343\" rx=\"8\"/>\n"
    );
    panels.iter().for_each(|panel| panel.draw(&mut svg));
    text(&mut svg, "", 380.0, 332.0, "middle", &format!("cargo bench --bench scale, on a {machine}"));
    svg.push_str("</svg>\n");
    svg
}

/// The picture as a Markdown link definition, for pages from which no path leads to the file.
pub(crate) fn link_definition(svg: &str) -> String {
    let mut definition = "[scale.svg]: data:image/svg+xml,".to_owned();
    for byte in svg.trim_end().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'/' | b':' | b'=' | b'_' | b',' | b';' => {
                definition.push(byte.into());
            }
            _ => write!(definition, "%{byte:02X}").unwrap(),
        }
    }
    definition + "\n"
}

impl Panel {
    fn draw(&self, svg: &mut String) {
        let highest = self.highest();
        let right = self.left + WIDTH;
        text(svg, "title", self.left, 28.0, "start", self.title);
        for step in 0..=4 {
            let value = highest * f64::from(step) / 4.0;
            let y = Self::y(value, highest);
            writeln!(svg, "<path class=\"grid\" d=\"M{} {y:.0}H{right}\"/>", self.left).unwrap();
            text(svg, "", self.left - 8.0, y + 4.0, "end", &number(value));
        }
        let (x, y) = (self.left - 48.0, (TOP + BOTTOM) / 2.0);
        writeln!(svg, "<text transform=\"translate({x} {y})rotate(-90)\" text-anchor=\"middle\">{}</text>", self.unit)
            .unwrap();
        for (exponent, name) in ["1", "10", "100", "1k", "10k", "100k", "1M"].into_iter().enumerate() {
            let keys = 10_usize.pow(exponent as u32);
            if keys <= self.most_keys {
                text(svg, "", self.x(keys), BOTTOM + 20.0, "middle", name);
            }
        }
        text(svg, "", self.left + WIDTH / 2.0, BOTTOM + 40.0, "middle", "keys");
        for (place, line) in self.lines.iter().enumerate() {
            text(svg, line.class, self.left + 140.0 * place as f64, 48.0, "start", line.name);
            self.draw_line(svg, line, highest);
        }
    }

    fn draw_line(&self, svg: &mut String, line: &Line, highest: f64) {
        let places: Vec<_> =
            line.points.iter().map(|&(keys, value)| (self.x(keys), Self::y(value, highest), value)).collect();
        let corners: Vec<_> = places.iter().map(|(x, y, _)| format!("{x:.0} {y:.0}")).collect();
        writeln!(svg, "<path class=\"line {}\" d=\"M{}\"/>", line.class, corners.join("L")).unwrap();
        for (x, y, value) in places {
            writeln!(svg, "<circle class=\"{}\" cx=\"{x:.0}\" cy=\"{y:.0}\" r=\"4\"/>", line.class).unwrap();
            // To the left of the point, because the next point is usually higher.
            text(svg, line.class, x + 8.0, y - 10.0, "end", &number(value));
        }
    }

    /// A round number, with room for a label above the highest point.
    fn highest(&self) -> f64 {
        let most = self.lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value).fold(1.0, f64::max) * 1.1;
        let magnitude = 10_f64.powf(most.log10().floor());
        [1.0, 2.0, 3.0, 4.0, 6.0, 8.0]
            .map(|step| step * magnitude)
            .into_iter()
            .find(|step| *step >= most)
            .unwrap_or(10.0 * magnitude)
    }

    fn x(&self, keys: usize) -> f64 {
        self.left + 12.0 + (WIDTH - 30.0) * (keys as f64).log10() / (self.most_keys as f64).log10()
    }

    fn y(value: f64, highest: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * value / highest
    }
}

fn text(svg: &mut String, class: &str, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(svg, "<text class=\"{class}\" x=\"{x:.0}\" y=\"{y:.0}\" text-anchor=\"{anchor}\">{text}</text>").unwrap();
}

fn number(value: f64) -> String {
    let whole = format!("{value:.0}");
    match whole.len() {
        4.. => format!("{},{}", &whole[..whole.len() - 3], &whole[whole.len() - 3..]),
        _ => whole,
    }
}
