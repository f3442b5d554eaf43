//! `make demo-run`: the same steps and figures every time.

use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

#[tokio::test]
async fn the_demo_run_comes_out_alike_every_time() {
    let mut lines = Vec::new();
    for _ in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/demo-run.sh");
        let output = Command::new(script)
            .arg(env!("CARGO_BIN_EXE_camarad-sidecar"))
            .arg(dir.path().join("out"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let complained = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}{complained}");
        let csv = std::fs::read_to_string(dir.path().join("out/trace.csv")).unwrap();
        assert!(csv.lines().count() > 5, "{csv}");
        let out = std::fs::read_dir(dir.path().join("out")).unwrap();
        let names: Vec<String> = out
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(
            !names.contains(&"demo.log".to_owned()),
            "a token was left behind: {names:?}"
        );
        lines.push(said.lines().last().unwrap().to_owned());
    }
    assert!(lines[0].contains("steps, the same figures, "), "{lines:?}");
    assert_eq!(lines[0], lines[1]);
}
