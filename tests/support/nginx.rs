//! A real nginx, on a socket in a directory of its own.

use super::eventually;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

/// An nginx that serves what stands in its http context.
pub struct Nginx {
    dir: PathBuf,
    child: Child,
}

impl Nginx {
    /// Starts it; `LISTEN` in the text is where it listens. `nginx -t` has to like it first.
    pub async fn start(dir: &Path, http: &str) -> Self {
        write(dir, http);
        let tested = command(dir).arg("-t").output().await;
        let tested = tested.expect("nginx is not installed; `make needs-test` does it or says how");
        let said = String::from_utf8_lossy(&tested.stderr);
        assert!(tested.status.success(), "{said}");
        assert!(!said.contains("[warn]"), "{said}");
        let child = command(dir).stderr(Stdio::null()).spawn().unwrap();
        let nginx = Self {
            dir: dir.to_owned(),
            child,
        };
        let socket = nginx.socket();
        eventually("nginx listens", || async {
            UnixStream::connect(&socket).await.is_ok()
        })
        .await;
        nginx
    }

    /// Gives it another text, as `nginx -s reload` does.
    pub fn reload(&self, http: &str) {
        write(&self.dir, http);
        assert!(self.signal("-HUP"));
    }

    fn signal(&self, name: &str) -> bool {
        let id = self.child.id().unwrap().to_string();
        let status = std::process::Command::new("kill")
            .args([name, &id])
            .status();
        status.is_ok_and(|status| status.success())
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.join("nginx.sock")
    }
}

impl Drop for Nginx {
    /// Asked to, it takes its workers with it; killed, it would leave them.
    fn drop(&mut self) {
        self.signal("-TERM");
    }
}

/// Sends a request and gives the whole answer.
pub async fn through(socket: &Path, request: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new("nginx");
    command
        .args(["-e", "stderr", "-c"])
        .arg(dir.join("nginx.conf"))
        .arg("-p")
        .arg(dir)
        .stdin(Stdio::null());
    command
}

fn write(dir: &Path, http: &str) {
    let at = |name: &str| dir.join(name).display().to_string();
    let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {};\n", at(kind)))
        .concat();
    let http = http.replace("LISTEN", &format!("unix:{}", at("nginx.sock")));
    // As root its workers would be somebody who may not enter the directory.
    let user = match std::fs::metadata(dir).unwrap().uid() {
        0 => "user root;\n",
        _ => "",
    };
    let config = format!(
        "{user}daemon off;\nworker_processes 1;\npid {};\nerror_log stderr;\nevents {{}}\n\
         http {{\n    access_log off;\n{temp}{http}\n}}\n",
        at("nginx.pid"),
    );
    std::fs::write(dir.join("nginx.conf"), config).unwrap();
}
