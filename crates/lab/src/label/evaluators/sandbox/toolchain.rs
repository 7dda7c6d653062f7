//! Where compilers and interpreters really are, behind the shims of version managers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::label::{CHEAP_KEY, JUDGE_KEY};

/// A program and the directory that it needs to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    pub program: PathBuf,
    /// Its installation, when that is not below `/usr`.
    pub directory: Option<PathBuf>,
}

/// The tools of this machine; each is asked once where it is.
#[derive(Debug, Default)]
pub struct Toolchain {
    python: OnceLock<Option<Tool>>,
    node: OnceLock<Option<Tool>>,
    rust: OnceLock<Option<Tool>>,
    c: OnceLock<Option<Tool>>,
}

impl Toolchain {
    /// The tool of a name, if it is installed.
    pub fn find(&self, name: &str) -> Option<&Tool> {
        let tool = match name {
            "python3" => self.python.get_or_init(|| {
                let script = "import sys; print(sys.executable); print(sys.base_prefix)";
                let answer = ask("python3", &["-I", "-c", script])?;
                let (program, prefix) = answer.split_once('\n')?;
                Some(Tool { program: program.into(), directory: Some(prefix.trim().into()) })
            }),
            "node" => self.node.get_or_init(|| {
                let program = PathBuf::from(ask("node", &["-p", "process.execPath"])?);
                let directory = program.parent().and_then(Path::parent).map(Path::to_owned);
                Some(Tool { program, directory })
            }),
            "rustc" => self.rust.get_or_init(|| {
                let directory = PathBuf::from(ask("rustc", &["--print", "sysroot"])?);
                Some(Tool { program: directory.join("bin/rustc"), directory: Some(directory) })
            }),
            "gcc" => self.c.get_or_init(|| {
                let program = PathBuf::from("/usr/bin/gcc");
                program.exists().then_some(Tool { program, directory: None })
            }),
            _ => return None,
        };
        tool.as_ref().filter(|tool| tool.program.is_absolute())
    }
}

impl Tool {
    /// The installation, unless the sandbox shows it anyway.
    pub fn hidden_directory(&self) -> Option<&Path> {
        let directory = self.directory.as_deref()?;
        let shown = ["/usr", "/bin", "/lib"].iter().any(|top| directory.starts_with(top));
        (!shown && directory.parent().is_some()).then_some(directory)
    }
}

/// What a tool prints about itself.
fn ask(tool: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(tool);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    // Tools have no use for the keys of models.
    for key in [CHEAP_KEY, JUDGE_KEY] {
        command.env_remove(key);
    }
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
