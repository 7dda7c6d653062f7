//! Programs that want out.

use super::*;

/// Runs a script; `None` where the system does not permit to isolate it.
fn sh(script: &str) -> Option<Run> {
    let sandbox = Sandbox::new();
    if sandbox.check().is_err() {
        assert!(std::env::var_os("CI").is_none(), "this system permits no namespaces");
        eprintln!("skipped: this system permits no namespaces");
        return None;
    }
    let run = Sandbox::in_directory(&[("given", "input")], |directory| {
        let program = ["/bin/sh", "-c", script];
        sandbox.run(&Job { directory, program: &program, stdin: "in", keep: None })
    });
    assert!(run.is_some(), "nothing was run");
    run
}

fn fails(scripts: &[&str]) {
    for script in scripts {
        if let Some(run) = sh(script) {
            assert!(!run.ok, "{script}: {}", run.stdout);
        }
    }
}

#[test]
fn a_program_reads_its_input_and_its_output_is_kept() {
    let Some(run) = sh("cat; echo out; cat given") else { return };
    assert_eq!(run, Run { ok: true, stdout: "inout\ninput".into() });
    fails(&["exit 3"]);
}

#[test]
fn a_program_that_never_ends_is_stopped() {
    let begin = Instant::now();
    fails(&["while :; do :; done"]);
    assert!(begin.elapsed() < WALL + Duration::from_secs(10));
}

#[test]
fn children_end_with_the_run_and_hold_nothing_up() {
    let begin = Instant::now();
    let script = "(setsid sh -c 'sleep 600; echo late' &) ; (sleep 600 &) ; echo done";
    let Some(run) = sh(script) else { return };
    assert_eq!((run.ok, run.stdout.trim()), (true, "done"));
    assert!(begin.elapsed() < WALL, "{:?}", begin.elapsed());
}

#[test]
fn without_isolation_children_hold_nothing_up_either() {
    let sandbox = Sandbox::without_isolation();
    let begin = Instant::now();
    let run = Sandbox::in_directory(&[], |directory| {
        let program = ["/bin/sh", "-c", "setsid sleep 8 & echo done"];
        sandbox.run(&Job { directory, program: &program, stdin: "", keep: None })
    });
    assert_eq!(run.expect("a run").stdout.trim(), "done");
    assert!(begin.elapsed() < Duration::from_secs(8));
}

#[test]
fn output_without_end_is_cut() {
    let Some(run) = sh("yes") else { return };
    assert!(!run.ok && run.stdout.len() as u64 <= MAX_OUTPUT);
}

#[test]
fn nothing_outside_is_seen() {
    let outside = tempfile::tempdir().expect("a directory");
    let socket = outside.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "secret").expect("written");
    let home = std::env::var("HOME").unwrap_or("/root".into());
    fails(&[
        &format!("cat {}", secret.display()),
        &format!("test -e {}", socket.display()),
        &format!("ls {home}/.ssh || ls {home}/.gitconfig || ls {home}/.cargo"),
        "test -e /run/docker.sock || test -e /var",
        "ls /proc/1 || ls /sys/fs",
        "cat /etc/shadow || cat /etc/passwd",
        "echo x > /usr/x || echo x > /etc/x || echo x > /dev/x || echo x > /x",
        "ls /dev/vda || ls /dev/sda || ls /dev/tty",
    ]);
    let Some(run) = sh("env") else { return };
    let names: Vec<&str> =
        run.stdout.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let known =
        ["PATH", "HOME", "TMPDIR", "LC_ALL", "PYTHONHASHSEED", "PWD", "OLDPWD", "SHLVL", "_"];
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
}

#[test]
fn no_privilege_is_kept_and_none_can_be_had() {
    fails(&[
        "unshare --user true",
        "unshare --net true",
        "mount -t tmpfs tmpfs /work",
        "mount -o remount,rw /usr",
        "chroot /usr true",
        "mknod /work/disk b 254 0",
        "hostname x",
        "umount /work",
    ]);
}

#[test]
fn disk_processes_and_memory_are_bounded() {
    fails(&[
        "for i in 1 2 3 4 5 6 7 8; do head -c 60000000 /dev/zero > $i || exit 1; done",
        "i=0; while [ $i -lt 9000 ]; do : > $i || exit 1; i=$((i+1)); done",
        "i=0; while [ $i -lt 100 ]; do sleep 5 & i=$((i+1)); done",
    ]);
    for (tool, script) in [
        ("python3", "b = bytearray(2 << 30)"),
        ("node", "const a = []; for (let i = 0; i < 40; i++) a.push(Buffer.alloc(64 << 20, 1));"),
    ] {
        let sandbox = Sandbox::new();
        if sandbox.check().is_err() || sandbox.toolchain.find(tool).is_none() {
            continue;
        }
        let flag = if tool == "node" { "-e" } else { "-c" };
        let run = Sandbox::in_directory(&[], |directory| {
            sandbox.run(&Job { directory, program: &[tool, flag, script], stdin: "", keep: None })
        });
        assert!(!run.expect("a run").ok, "{tool}");
    }
}

#[test]
fn only_the_file_that_is_asked_for_comes_back_and_no_link() {
    let sandbox = Sandbox::new();
    if sandbox.check().is_err() {
        return;
    }
    let kept = |script: &str| {
        Sandbox::in_directory(&[], |directory| {
            let program = ["/bin/sh", "-c", script];
            let job = Job { directory, program: &program, stdin: "", keep: Some("kept") };
            sandbox.run(&job)?;
            let names = std::fs::read_dir(directory).ok()?.flatten();
            Some(
                names
                    .map(|entry| entry.file_name().to_string_lossy().into_owned())
                    .collect::<Vec<_>>(),
            )
        })
        .expect("a run")
    };
    assert_eq!(kept("echo x > kept; echo x > other"), ["kept"]);
    assert_eq!(kept("ln -s /etc/shadow kept"), Vec::<String>::new());
    assert_eq!(kept("echo x > kept; exit 1"), Vec::<String>::new());
}
