//! nginx with Lua: the token verified by OpenSSL through LuaJIT's FFI, and `proxy_cache`.

use super::idle;
use super::peer::{Peer, first_line};
use super::process::{Running, cpus, free_address};
use super::scenario::{Scenario, Setup, Work};
use super::site::{SECRET, Site};
use std::io;
use std::process::Command;

pub(super) struct Nginx;

impl Peer for Nginx {
    fn name(&self) -> &'static str {
        "nginx + Lua"
    }

    fn version(&self) -> String {
        first_line("nginx", "-v")
    }

    fn is_alternative(&self) -> bool {
        true
    }

    fn can(&self, scenario: &Scenario) -> bool {
        scenario.work != Work::Own
    }

    fn start(&self, setup: Setup, site: &Site) -> io::Result<Running> {
        let (address, folder) = (free_address()?, site.folder(&format!("nginx-{setup:?}"))?);
        for name in ["cache", "body", "proxy", "logs"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        let (algorithm, key) = match setup {
            Setup::Rs256 => ("RS256", std::fs::read_to_string(&site.public_key)?),
            _ => ("HS256", SECRET.to_owned()),
        };
        // The folder is only ours, and a worker of root's would become somebody else.
        let user = if rustix::process::geteuid().is_root() {
            "user root;"
        } else {
            ""
        };
        let (keep, cache) = match setup {
            Setup::Cached => (KEEP, CACHE),
            _ => ("", ""),
        };
        let connections = match setup {
            Setup::Idle => idle::ROOM,
            _ => 8192,
        };
        let file = include_str!("../../peers/nginx.conf")
            .replace("{user}", user)
            .replace("{keep}", keep)
            .replace("{cache}", cache)
            .replace("{connections}", &connections.to_string())
            .replace("{address}", &address.to_string())
            .replace("{upstream}", &site.upstream_address().to_string())
            .replace("{folder}", &folder.display().to_string());
        std::fs::write(folder.join("key"), key)?;
        std::fs::write(
            folder.join("settings.lua"),
            format!(
                "return {{ algorithm = \"{algorithm}\", key_file = \"{}\" }}\n",
                folder.join("key").display()
            ),
        )?;
        std::fs::write(
            folder.join("token.lua"),
            include_str!("../../peers/token.lua"),
        )?;
        let path = folder.join("nginx.conf");
        std::fs::write(&path, file)?;
        let mut command = Command::new("nginx");
        command
            .arg("-p")
            .arg(&folder)
            .arg("-e")
            .arg("stderr")
            .arg("-c")
            .arg(path);
        Running::start(&command, address, cpus().0, &folder)
    }
}

const KEEP: &str = "proxy_cache_path {folder}/cache levels=1:2 keys_zone=tenants:10m max_size=64m inactive=10m use_temp_path=off;";

const CACHE: &str = "proxy_cache tenants;
            proxy_cache_key $user|$http_x_client_id|$request_uri;
            proxy_cache_valid 200 30s;
            proxy_cache_lock on;";
