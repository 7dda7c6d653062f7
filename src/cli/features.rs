//! `pointsman features`: prompts to feature vectors, line by line.

use std::io::Write;
use std::path::PathBuf;

use super::args::Strictness;
use super::{BadInput, bad_line, bytes_bar, open_error, report_problems};
use pointsman_core::features::{DENSE, ENGINEERED, Features, LEN, SCHEMA};
use pointsman_lab::files::{Lines, Problems};
use pointsman_lab::learn::RowParser;
use pointsman_lab::report::csv;

/// Print the features of prompts
///
/// Reads rows with `prompt` or `request` (labels are not needed) and prints one line per row, in
/// the same order.
#[derive(clap::Args)]
pub(super) struct Args {
    /// JSONL or gzipped JSONL; standard input when omitted
    files: Vec<PathBuf>,
    /// Form of the output: an object per row, or a header and a table
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Add what the words are about, and the hashed n-grams as [bucket, value] pairs (JSONL only)
    #[arg(long)]
    hashed: bool,
    #[command(flatten)]
    strictness: Strictness,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if args.hashed && args.format == Format::Csv {
        return Err(BadInput::new("--hashed needs --format jsonl").into());
    }
    let files = if args.files.is_empty() { vec![PathBuf::from("-")] } else { args.files.clone() };
    let out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let mut rows = Rows::new(out);
    if args.format == Format::Csv {
        let names: Vec<&str> = SCHEMA.iter().map(|feature| feature.name).collect();
        writeln!(rows.out, "id,{}", names.join(","))?;
    }
    let bar = bytes_bar(&files);
    let mut parser = RowParser::default();
    let mut problems = Problems::new(args.strictness.strict);
    let (mut read, mut written) = (0_u64, 0_u64);
    for file in &files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut lines = Lines::open(file).map_err(open_error(file))?;
        while let Some((number, line, bytes)) = lines.next_whole(&mut problems).map_err(bad_line)? {
            bar.inc(bytes);
            read += 1;
            match parser.prompt(line, &format!("{name}:{number}")) {
                Ok(id) => {
                    written += 1;
                    rows.write(args, &id, parser.features())?;
                }
                Err(reject) => problems
                    .add(reject.problem(), file, number, reject.to_string())
                    .map_err(bad_line)?,
            }
        }
    }
    rows.out.flush()?;
    bar.finish_and_clear();
    report_problems(&mut problems);
    // A partition may be empty; rows of which none can be read are of another format.
    if read > 0 && written == 0 {
        let error = BadInput::new(format!("none of the {read} rows could be read"));
        return Err(error
            .hint("a row is one line: {\"prompt\": \"…\"} or {\"request\": {…}}")
            .into());
    }
    Ok(())
}

/// Writes rows. JSON is put together by hand: most of a row are a few hundred n-grams, which cost a
/// serialiser more than all features cost to compute.
struct Rows<W> {
    out: W,
    line: Vec<u8>,
    /// `"name":` of each feature.
    names: Vec<String>,
    /// `[bucket,` of each bucket.
    buckets: Vec<Text<7>>,
    numbers: Numbers,
}

impl<W: Write> Rows<W> {
    fn new(out: W) -> Self {
        let names = SCHEMA.iter().map(|feature| format!("\"{}\":", feature.name)).collect();
        let bucket = |bucket: usize| Text::of(format!("[{bucket},").as_bytes());
        let buckets = (0..LEN - DENSE).map(bucket).collect();
        Rows { out, line: Vec::new(), names, buckets, numbers: Numbers::new() }
    }

    fn write(&mut self, args: &Args, id: &str, features: &Features) -> std::io::Result<()> {
        self.line.clear();
        match args.format {
            Format::Csv => self.csv(id, features)?,
            Format::Jsonl => self.json(id, features, args.hashed)?,
        }
        self.out.write_all(&self.line)
    }

    fn csv(&mut self, id: &str, features: &Features) -> std::io::Result<()> {
        write!(self.line, "{}", csv::field(id))?;
        for value in features.engineered() {
            write!(self.line, ",{value}")?;
        }
        writeln!(self.line)
    }

    fn json(&mut self, id: &str, features: &Features, hashed: bool) -> std::io::Result<()> {
        self.line.extend_from_slice(b"{\"id\":");
        serde_json::to_writer(&mut self.line, id)?;
        self.line.extend_from_slice(b",\"features\":{");
        for (name, value) in self.names.iter().zip(features.engineered()) {
            self.line.extend_from_slice(name.as_bytes());
            self.numbers.write(&mut self.line, *value)?;
            self.line.push(b',');
        }
        self.line.pop();
        self.line.push(b'}');
        if hashed {
            self.line.extend_from_slice(b",\"meaning\":[");
            for value in &features.dense()[ENGINEERED..] {
                self.numbers.write(&mut self.line, *value)?;
                self.line.push(b',');
            }
            self.line.pop();
            self.line.extend_from_slice(b"],\"hashed\":[");
            let before = self.line.len();
            let (blocks, _) = features.as_slice()[DENSE..].as_chunks::<BLOCK>();
            for (at, block) in blocks.iter().enumerate() {
                // A bit for each that is filled: to ask one by one is to guess wrong at most.
                let mut filled = u128::from_le_bytes(block.map(|value| u8::from(value != 0.0)));
                while filled != 0 {
                    let offset = filled.trailing_zeros() as usize / 8;
                    filled &= filled - 1;
                    self.buckets[at * BLOCK + offset].append_to(&mut self.line);
                    self.numbers.write(&mut self.line, block[offset])?;
                    self.line.extend_from_slice(b"],");
                }
            }
            if self.line.len() > before {
                self.line.pop();
            }
            self.line.push(b']');
        }
        self.line.extend_from_slice(b"}\n");
        Ok(())
    }
}

/// Buckets that are looked at together.
const BLOCK: usize = 16;
const _: () = assert!((LEN - DENSE).is_multiple_of(BLOCK), "no bucket is left over");

/// A short text of its own. All `N` bytes are copied and the rest is cut off, because a copy of
/// fixed size needs no call.
#[derive(Clone, Copy)]
struct Text<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Text<N> {
    fn of(text: &[u8]) -> Self {
        let mut bytes = [0; N];
        bytes[..text.len()].copy_from_slice(text);
        Text { bytes, len: text.len() as u8 }
    }

    fn append_to(&self, line: &mut Vec<u8>) {
        let end = line.len() + usize::from(self.len);
        line.extend_from_slice(&self.bytes);
        line.truncate(end);
    }
}

/// JSON of numbers, remembered by their bits: the n-grams of a prompt share a few values.
struct Numbers {
    recent: [(u32, Text<23>); 64],
    text: Vec<u8>,
}

impl Numbers {
    fn new() -> Self {
        Numbers { recent: [(0, Text::of(b"0.0")); 64], text: Vec::new() }
    }

    fn write(&mut self, line: &mut Vec<u8>, value: f32) -> std::io::Result<()> {
        let bits = value.to_bits();
        let place = &mut self.recent[(bits.wrapping_mul(0x9e37_79b1) >> 26) as usize];
        if place.0 != bits {
            self.text.clear();
            serde_json::to_writer(&mut self.text, &value)?;
            *place = (bits, Text::of(&self.text));
        }
        place.1.append_to(line);
        Ok(())
    }
}
