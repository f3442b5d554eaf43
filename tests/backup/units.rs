//! The timers of systemd and what they start.

use crate::operators::{replaced, text};

#[tokio::test]
async fn systemd_likes_the_timers_and_what_they_start() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["camarad-backup", "camarad-restore-drill"] {
        let timer = text(&format!("systemd/{name}.timer"));
        assert!(timer.contains("Persistent=true") && timer.contains("RandomizedDelaySec="));
        let service = replaced(
            text(&format!("systemd/{name}.service")),
            &[(
                "/usr/local/bin/camarad-sidecar",
                env!("CARGO_BIN_EXE_camarad-sidecar"),
            )],
        );
        let timer_file = dir.path().join(format!("{name}.timer"));
        let file = dir.path().join(format!("{name}.service"));
        std::fs::write(&timer_file, timer).unwrap();
        std::fs::write(&file, &service).unwrap();
        for (arguments, file) in [
            (&["verify", "--man=no"][..], &timer_file),
            (&["verify", "--man=no"], &file),
            // Exposure, in tenths, as of the sidecar itself.
            (
                &["security", "--offline=yes", "--threshold=15", "--no-pager"],
                &file,
            ),
        ] {
            let output = tokio::process::Command::new("systemd-analyze")
                .args(arguments)
                .arg(file)
                .output()
                .await
                .expect("systemd-analyze is not installed; `make needs-test` does it");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name} {arguments:?}: {said}");
            assert!(!said.contains("Unknown key"), "{said}");
        }
        // What is started is a command that there is.
        let start = service
            .lines()
            .find_map(|line| line.strip_prefix("ExecStart="));
        let mut words = start.unwrap().split(' ').skip(1);
        let mut command = crate::support::command();
        command.arg(words.next().unwrap()).arg("--help");
        let help = command.output().await.unwrap();
        assert!(help.status.success(), "{start:?}");
        let help = String::from_utf8(help.stdout).unwrap();
        assert!(words.all(|word| help.contains(word)), "{start:?}: {help}");
    }
}
