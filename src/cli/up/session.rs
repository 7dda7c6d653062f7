//! A deployment while it runs.

use std::ffi::OsString;
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::super::gateway;
use super::deployment::{Deployment, Directory};
use super::envoy::{Admin, Found};
use super::line::Lines;
use super::printer::Printer;
use super::process::Process;
use super::rollout::{self, Outcome};
use super::{Args, announce, envoy, read, targets};
use pointsman_gateway::render::Files;

/// Compiling the module takes seconds, and much longer on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// A running deployment.
pub(super) struct Session {
    deployment: Deployment,
    directory: Directory,
    found: Found,
    files: Files,
    admin: Admin,
    printer: Printer,
    /// Variables that Envoy was started with in addition to our own.
    environment: Vec<(String, String)>,
    // Dropped in this order: who asks ends before who answers.
    envoy: Process,
    sidecars: Vec<Process>,
}

impl Session {
    pub(super) async fn start(
        args: &Args,
        deployment: Deployment,
        directory: Directory,
        found: Found,
        files: Files,
        sidecars: Vec<Process>,
    ) -> anyhow::Result<Self> {
        let begun = Instant::now();
        report!("starting Envoy: compiling the filter takes some seconds");
        let log = directory.file("logs/envoy.log");
        let arguments: Vec<OsString> = [
            "--config-path".into(),
            directory.file("bootstrap.yaml").into_os_string(),
            "--disable-hot-restart".into(),
            "--concurrency".into(),
            args.workers.to_string().into(),
            "--log-level".into(),
            "warning".into(),
            // A line is printed when its request is over; by default it waits for up to 10 s.
            "--file-flush-interval-msec".into(),
            "100".into(),
        ]
        .into();
        let environment = deployment.environment();
        let (mut envoy, stdout) =
            Process::start("envoy", &found.path, &arguments, &environment, &log, true)?;
        let lines = Lines::new(targets(&deployment.gateway));
        let printer = Printer::start(stdout, lines, args.json);
        let admin = Admin::new(deployment.gateway.admin.to_string());
        let failed = |why: &str| {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            anyhow::anyhow!(
                "{why}: {} (all of it is in {})",
                envoy::last_error(&text),
                log.display()
            )
        };
        loop {
            if envoy.ended().is_some() {
                return Err(failed("Envoy ended before it was ready"));
            }
            // Ready is not enough: Envoy is, too, when it has refused all that it should serve.
            match admin.took_all() {
                Some(false) => return Err(failed("Envoy refuses the configuration")),
                Some(true) if admin.is_ready() => break,
                _ => {}
            }
            if begun.elapsed() > READY_WITHIN {
                return Err(failed("Envoy is not ready after 90 s"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        report!("ready after {:.1} s", begun.elapsed().as_secs_f64());
        Ok(Session {
            deployment,
            directory,
            found,
            files,
            admin,
            printer,
            environment,
            envoy,
            sidecars,
        })
    }

    /// Until somebody asks for the end, or something ends by itself.
    pub(super) async fn serve(
        mut self,
        args: &Args,
        mut asked: Pin<&mut impl Future<Output = ()>>,
    ) -> anyhow::Result<()> {
        announce(&self.deployment.gateway, args.json)?;
        let mut look = tokio::time::interval(LOOK);
        let mut seen = Seen::of(&args.file);
        let mut told: Vec<String> = Vec::new();
        // Envoy takes seconds to look at a change. Requests are told of meanwhile.
        let mut change: Option<JoinHandle<RolledOut>> = None;
        loop {
            tokio::select! {
                () = &mut asked => break,
                rolled = async { change.as_mut()?.await.ok() }, if change.is_some() => {
                    change = None;
                    rolled.into_iter().for_each(|rolled| self.finish_change(args, rolled));
                }
                _ = look.tick() => {
                    self.check_alive()?;
                    let problems = self.deployment.copy_keys(&self.directory);
                    for problem in problems.iter().filter(|it| !told.contains(it)) {
                        report!("warning: {problem}; the key that was read before is in use");
                    }
                    told = problems;
                    let now = Seen::of(&args.file);
                    if args.cheap.is_none() && change.is_none() && now != seen {
                        seen = now;
                        change = self.begin_change(args);
                    }
                }
            }
        }
        report!("ending");
        // Envoy writes its log every 100 ms, and the last requests are to be told of, too.
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.admin.quit();
        // What Envoy says last are the requests that it ended with.
        drop(self.envoy);
        self.printer.finish();
        Ok(())
    }

    fn check_alive(&mut self) -> anyhow::Result<()> {
        let all = std::iter::once(&mut self.envoy).chain(&mut self.sidecars);
        for process in all {
            if let Some(status) = process.ended() {
                let log = self.directory.file(&format!("logs/{}.log", process.name));
                anyhow::bail!("{} ended by itself, {status}: see {}", process.name, log.display());
            }
        }
        Ok(())
    }

    /// The file has changed: what it says is rolled out, if it can be.
    fn begin_change(&mut self, args: &Args) -> Option<JoinHandle<RolledOut>> {
        let new = match self.changed(args) {
            Ok(new) => new,
            Err(why) => {
                report!("error: {why}; the old deployment serves on");
                return None;
            }
        };
        let (old, path) = (self.files.clone(), self.directory.path.clone());
        let (found, admin) = (self.found.clone(), self.admin.clone());
        Some(tokio::task::spawn_blocking(move || {
            let outcome = rollout::roll_out(&new, &old, &path, &found, &admin);
            (new, outcome)
        }))
    }

    /// The new deployment, if its file is right, its keys are there, and it needs no new start.
    fn changed(&self, args: &Args) -> Result<Deployment, String> {
        let name = args.file.display();
        let gateway = read(args).map_err(|error| format!("{error:#}"))?;
        let old = &self.deployment.gateway;
        let fixed = [
            ("admin", gateway.admin != old.admin),
            ("cache", gateway.cache != old.cache),
            ("control", gateway.control != old.control),
        ];
        if let Some((field, _)) = fixed.iter().find(|(_, changed)| *changed) {
            return Err(format!("{name}: {field} cannot change while running: start again"));
        }
        let module = gateway::module(&self.directory.path, args.wasm.as_deref());
        let module = module.map_err(|error| format!("{error:#}"))?;
        let new = Deployment::new(gateway, &self.directory, &module);
        new.check_keys().map_err(|error| error.to_string())?;
        // Envoy reads variables when it starts, and has only those that it was started with.
        let inherited =
            |(name, value): &(String, String)| std::env::var(name).is_ok_and(|it| it == *value);
        let known = |it: &(String, String)| self.environment.contains(it) || inherited(it);
        let added = new.environment().into_iter().find(|it| !known(it));
        if let Some((variable, _)) = added {
            return Err(format!(
                "{name}: {variable} is new, and Envoy has only the variables of its start: start \
                 again, or put the key into a file"
            ));
        }
        new.copy_keys(&self.directory).first().map_or(Ok(()), |problem| Err(problem.clone()))?;
        Ok(new)
    }

    /// Says what Envoy said of a change.
    fn finish_change(&mut self, args: &Args, (new, outcome): RolledOut) {
        let name = args.file.display();
        match outcome {
            Ok((Outcome::Unchanged, _)) => {
                report!("{name}: nothing changes");
                self.deployment = new;
            }
            Ok((Outcome::Accepted(changed), files)) => {
                report!("{name}: accepted by Envoy ({})", changed.join(", "));
                self.printer.set_targets(targets(&new.gateway));
                self.deployment = new;
                self.files = files;
            }
            Err(why) => report!("error: {name}: {why}; the old deployment serves on"),
        }
    }
}

/// A deployment that was rolled out, and what came of it.
type RolledOut = (Deployment, Result<(Outcome, Files), String>);

/// When a file was last changed, and its size: `None` while it is not there.
#[derive(PartialEq)]
struct Seen(Option<(std::time::SystemTime, u64)>);

impl Seen {
    fn of(path: &Path) -> Self {
        let data = std::fs::metadata(path).ok();
        Seen(data.and_then(|data| Some((data.modified().ok()?, data.len()))))
    }
}
